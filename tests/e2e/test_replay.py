"""Too little traffic on real processes: kept requests bring a release to its verdict, unseen by users."""

import httpx
import pytest

from tests.e2e.installation import Installation, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.requires("envoy")]

RECORDING = {"redact": ["secret"]}
ROLLOUT = {
    "steps": [10, 100],
    "step_s": 0,
    "step_requests": 20,
    "patience_s": 1,
    "bake_s": 1,
    "low_traffic": "replay",
    "gates": {"warm_up_s": 0, "agreement": {"compare": "numeric"}},
}
SUM = '''
class Sum:
    """Adds; the secret is taken, and used for nothing."""

    signature = {
        "inputs": [
            {"name": "x", "datatype": "FP32", "shape": [-1]},
            {"name": "secret", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
    }

    def predict(self, batch):
        return {"y": batch["x"] + OFFSET}
'''


def test_kept_requests_judge_a_release_that_nobody_uses(installation: Installation) -> None:
    client = installation.client()

    def spec(offset: int) -> dict[str, object]:
        source = SUM.replace("OFFSET", str(offset))
        return installation.python_spec("sum", source, recording=RECORDING, rollout=ROLLOUT)

    client.deploy(spec(1))
    url = f"{installation.gateway_url}/sum/sum/predict"
    with httpx.Client() as http:

        def is_kept() -> bool:
            answer = http.post(url, json={"x": 4711.0, "secret": "open sesame"})
            assert answer.status_code == 200
            stored = b"".join(part.read_bytes() for part in installation.home.rglob("answers.db*"))
            assert b"open sesame" not in stored
            return stored.count(b"/sum/predict") > 40

        wait_for("kept requests", is_kept)
    client.deploy(spec(2), wait=False)

    def ended() -> list[str]:
        found = client.events("sum", limit=200)
        return [e["reason"] for e in found if e["kind"] == "rollout:rolled_back"]

    (reason,) = wait_for("the verdict", ended)
    assert "agreement" in reason
    reasons = " ".join(event["reason"] for event in client.events("sum", limit=200))
    assert "kept requests are replayed" in reasons
