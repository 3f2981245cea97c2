"""The simulator against runs that really took place, on the local target.

The first was recorded by ``python -m bench.questions.burst --record FILE``, with the p95 that the gateway counted;
the hour by ``python -m bench.questions.simulated_hour --record FILE``, with the p95 that its clients saw.
"""

import pytest

from tests.unit.simulate.real_run import read_run, simulated

WITHIN = 0.15


@pytest.mark.parametrize(
    ("name", "p95"), [("burst_140_s.json", "gateway_p95_ms"), ("hour.json.gz", "client_p95_ms")]
)
def test_latency_and_replica_seconds_are_those_of_the_real_run(name: str, p95: str) -> None:
    real = read_run(name)
    found = simulated(real)
    assert abs(found.p95_ms / real[p95] - 1) <= WITHIN
    assert abs(found.replica_s / real["replica_s"] - 1) <= WITHIN
    assert found.rejected == 0
