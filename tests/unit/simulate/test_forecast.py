"""Simulations as people ask for them, and the pictures that come of them."""

import xml.etree.ElementTree as ET

import pytest

from prometheus_ai.control.advise.simulation import Asked, Contender, run_simulation
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.policy import RolloutSpec, ScalingSpec
from prometheus_ai.domain.spec import BatchingSpec, ModelSpec, Spec
from prometheus_ai.simulate import VerdictTime, page, plot, sparkline, traffic, verdict_times

SPEC = Spec(
    name="digits", model=ModelSpec(path="m.onnx", engine="onnx"), scaling=ScalingSpec(min=0, max=9)
)
SERIAL = ((1, 0.1),)


def asked(**fields: object) -> Asked:
    known = {"contenders": (Contender(label="a.yaml", spec=SPEC),), "curve": SERIAL, "start_s": 2.0}
    return Asked(**{**known, **fields})  # type: ignore[arg-type]


def test_contenders_meet_the_same_traffic() -> None:
    others = (Contender(label="knative"), Contender(label="hpa"), Contender(label="fixed:3"))
    found = run_simulation(
        asked(
            contenders=(Contender(label="a.yaml", spec=SPEC), *others), traffic="poisson:8",
            duration_s=300.0,
        )
    )  # fmt: skip
    assert [row.scaler for row in found.rows] == ["a.yaml", "knative", "hpa", "fixed:3"]
    assert {row.requests for row in found.rows} == {found.requests}
    assert found.rows[3].replica_s == pytest.approx(900, abs=1)
    assert found.assumed == ()


def test_specs_of_the_same_name_both_take_part() -> None:
    other = SPEC.model_copy(update={"scaling": ScalingSpec(min=4, max=9)})
    files = (Contender(label="pai.yaml", spec=SPEC), Contender(label="pai.yaml", spec=other))
    found = run_simulation(asked(contenders=files, traffic="poisson:1", duration_s=60.0))
    assert [row.scaler for row in found.rows] == ["pai.yaml", "pai.yaml (2)"]
    assert found.rows[1].replicas_max > found.rows[0].replicas_max


def test_each_spec_makes_batches_of_its_own_size() -> None:
    batching = SPEC.model_copy(update={"batching": BatchingSpec(rows_max=8)})
    serial = SPEC.model_copy(update={"batching": BatchingSpec(rows_max=1)})
    files = (Contender(label="serial", spec=serial), Contender(label="batching", spec=batching))
    found = run_simulation(
        asked(contenders=files, traffic="poisson:30", duration_s=60.0, curve=((1, 0.02), (8, 0.03)))
    )
    assert found.rows[0].replica_s > 1.2 * found.rows[1].replica_s


def test_a_recording_brings_its_own_replica() -> None:
    recording = {
        "windows": [[0.0, 10.0, 50], [10.0, 10.0, 20]], "curve": [[1, 0.03]], "start_s": 1.5,
        "overhead_s": 0.002,
    }  # fmt: skip
    found = run_simulation(asked(recording=recording, curve=(), start_s=None))
    assert (found.requests, found.start_s, found.curve) == (70, 1.5, ((1, 0.03),))
    assert found.rows[0].p50_ms > 30


def test_what_was_not_measured_is_said() -> None:
    found = run_simulation(asked(traffic="poisson:1", curve=(), start_s=None, duration_s=60.0))
    assert len(found.assumed) == 2


@pytest.mark.parametrize(
    "text", ["poisson", "poisson:x", "sine:3", "diurnal:1", "on-off:1:1:0", "poisson:1e12"]
)
def test_traffic_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        traffic(text, 60.0, 0)


@pytest.mark.parametrize("label", ["fixed:", "fixed:0", "fixed:x", "keda"])
def test_contenders_that_are_not_known_are_refused(label: str) -> None:
    with pytest.raises(InvalidInput):
        run_simulation(asked(contenders=(Contender(label=label),), traffic="poisson:1"))


def test_traffic_without_a_request_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no request"):
        run_simulation(asked(trace_lines=["# nothing"]))


def test_verdict_times_tell_good_from_bad() -> None:
    found = {one.candidate: one for one in verdict_times(RolloutSpec(), 50.0, 0.02, 1.0)}
    assert found["as good"].outcome == "done"
    assert found["fails always"].outcome == "rolled_back"
    assert found["fails always"].took_s < found["as good"].took_s


def test_a_sparkline_shows_the_largest_of_each_stretch() -> None:
    assert sparkline([0, 0, 8, 0, 0, 4], width=3) == " █▄"
    assert sparkline([]) == ""


def test_plots_are_well_formed_and_escape_names() -> None:
    drawn = ET.fromstring(plot({"<a>&": [0.0, 1.0], "b": []}, 60.0))
    names = [text.text for text in drawn.iter() if text.tag.endswith("text")]
    assert "<a>&" in names


def test_a_page_stands_on_its_own() -> None:
    found = run_simulation(asked(traffic="poisson:5", duration_s=60.0))
    text = page("Simulation", found.rows, ["said"])
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert text.count("<svg") == 2


def test_a_page_tells_when_verdicts_fall() -> None:
    found = run_simulation(asked(traffic="poisson:5", duration_s=60.0))
    verdict = VerdictTime(
        candidate="fails <always>", outcome="rolled_back", first_verdict_s=13.0, took_s=14.0,
        harmed=4, reason="tripwire",
    )  # fmt: skip
    text = page("Simulation", found.rows, [], {"a.yaml": [verdict]})
    assert "A rollout of a.yaml at this traffic" in text
    assert "<td>fails &lt;always&gt;</td><td>rolled_back</td><td>13 s</td><td>14 s</td>" in text
