"""Suggestions and recordings, from what a whole control plane measured."""

from datetime import timedelta

import pytest

from prometheus_ai.control.advise.suggest import Terms
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.profile import ModelProfile
from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.window import Histogram, Window, bucket_index
from tests.scenario.conftest import Line


class Measured:
    """Every replica learned the same curve."""

    def profile(self, endpoint: Endpoint, name: str) -> ModelProfile:
        """Return it."""
        del endpoint, name
        return ModelProfile(curve=((1, 0.01), (8, 0.02)), batches=500, memory_bytes=2**25)


def remember(line: Line, requests: int, spans: int, apart_s: float) -> None:
    """Store windows of ten seconds, some time apart."""
    now = line.clock.now()
    latency = Histogram(
        count=requests, sum=requests * 0.012, buckets={bucket_index(0.012): requests}
    )
    with line.store.write() as tx:
        tx.add_windows(
            [
                Window(
                    backend="digits", version="v1", start=now - timedelta(seconds=number * apart_s + 10),
                    end=now - timedelta(seconds=number * apart_s), requests=requests, errors=0,
                    client_errors=0, rejected=0, retries=0, latency_s=latency,
                )
                for number in range(spans)
            ]
        )  # fmt: skip


@pytest.fixture
def measured(line: Line) -> Line:
    line.plane.profiles = Measured()
    line.deploy(scaling={"min": 1, "max": 4})
    line.run()
    return line


def test_every_suggestion_names_its_reason_and_its_risk(measured: Line) -> None:
    remember(measured, requests=2000, spans=30, apart_s=10)
    found = measured.control.suggest("digits", None, Terms())
    settings = {one.setting: one for one in found.suggestions}
    assert settings.keys() == {
        "replicas", "batching.rows_max", "batching.wait_ms_max", "resources.cpu",
        "resources.memory", "scaling.idle_s",
    }  # fmt: skip
    assert all(one.why and one.risk for one in found.suggestions)
    assert found.peak_per_s == pytest.approx(200)
    assert settings["scaling.idle_s"].value == 0, "busy all the time"


def test_rare_requests_make_sleeping_worth_it(measured: Line) -> None:
    remember(measured, requests=400, spans=6, apart_s=7200)
    found = measured.control.suggest("digits", "v1", Terms(busy_second=0.01))
    idle = next(one for one in found.suggestions if one.setting == "scaling.idle_s")
    assert idle.value > 0
    assert found.sleep[0].cold_share > 0
    assert found.break_even_per_s is not None


def test_what_is_missing_is_said(line: Line) -> None:
    line.deploy()
    line.run()
    found = line.control.suggest("digits", None, Terms())
    assert any("no ready replica has answered" in text for text in found.missing)
    assert any("sleep" in text for text in found.missing)


def test_a_recording_carries_traffic_and_the_measured_replica(measured: Line) -> None:
    remember(measured, requests=50, spans=3, apart_s=60)
    found = measured.control.recording("digits", None)
    assert [count for _, _, count in found.windows] == [50, 50, 50]
    assert found.windows[0][0] == 0
    assert found.curve == ((1, 0.01), (8, 0.02))
    assert found.overhead_s == pytest.approx(0.002, rel=0.2)


def test_unknown_names_are_said(measured: Line) -> None:
    with pytest.raises(NotFound):
        measured.control.suggest("nobody", None, Terms())
    with pytest.raises(NotFound):
        measured.control.recording("digits", "v9")
