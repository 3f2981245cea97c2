"""An exchange in place on a machine that is full, and the way back from it, on real processes."""

from typing import Any

import pytest

from prometheus_ai.adapters.drivers.local.machine import measure
from tests.e2e.installation import Installation, Load, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.requires("envoy"), pytest.mark.timeout(300)]


def test_a_full_machine_exchanges_replicas_and_takes_them_back(
    installation: Installation, target: str
) -> None:
    client = installation.client()
    # Two replicas declare all but a bit of the memory, so that a third never fits.
    fields: dict[str, Any] = {
        "target": target,
        "replicas": 2,
        "resources": {"cpu": 0.5, "memory": f"{measure().memory_bytes * 9 // 20 // 2**20}Mi"},
        "scaling": {"min": 2, "max": 2, "concurrency": 50, "down_s": 80_000},
        "rollout": {"strategy": "rolling", "step_s": 0, "bake_s": 0, "gates": {"warm_up_s": 0}},
    }

    def weights() -> dict[str, float]:
        return dict(client.backend("scaling")["summary"]["weights"])

    client.deploy(installation.spec(2.0, **fields))
    url = f"{installation.gateway_url}/v2/models/scaling/infer"
    with Load(url=url, senders=1) as load:
        load.wait_for_more(20)
        client.deploy(installation.spec(3.0, **fields), wait=False)
        wait_for("the exchange", lambda: weights() == {"v2": 100.0})
        wait_for("its end", lambda: client.backend("scaling")["rollout"] is None)
        told = installation.pai("rollback", "scaling")
        assert "exchanged" in told.stdout, told
        wait_for("the way back", lambda: weights() == {"v1": 100.0})
        wait_for("its end", lambda: client.backend("scaling")["rollout"] is None)
        load.wait_for_more(20)
    assert load.failures == []
