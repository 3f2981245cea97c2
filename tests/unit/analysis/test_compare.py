"""Evidence about a candidate: what is learned from intervals, and what is concluded."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydantic import TypeAdapter

from prometheus_ai.analysis import (
    EvidenceState,
    bars_of,
    begin_evidence,
    compare,
    exclude_replica,
    observe,
    requests_to_see,
    start_step,
)
from prometheus_ai.domain.evidence import (
    Arm,
    FaultOwner,
    GateResult,
    Interval,
    Moments,
    Outcome,
    ReplicaTally,
)
from prometheus_ai.domain.policy import AgreementGate, GatesSpec, MeanGate, OutputsGate
from prometheus_ai.domain.window import Histogram, bucket_index

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GATES = GatesSpec()


def histogram(values: np.ndarray) -> Histogram:
    buckets: dict[int, int] = {}
    for value in values.tolist():
        index = bucket_index(value)
        buckets[index] = buckets.get(index, 0) + 1
    return Histogram(count=len(values), sum=float(values.sum()), buckets=buckets)


def latencies(rng: np.random.Generator, count: int, factor: float = 1.0) -> Histogram:
    return histogram(rng.lognormal(-4, 0.5, count) * factor)


HISTORY = Arm(requests=4000, errors=4, latency_s=latencies(np.random.default_rng(0), 4000))


def interval(ours: Arm, theirs: Arm, **values: object) -> Interval:
    given = {"weight": 0.0, "start": NOW, "end": NOW + timedelta(seconds=1), **values}
    return Interval(candidate=ours, baseline=theirs, **given)  # type: ignore[arg-type]


def begun(gates: GatesSpec = GATES) -> EvidenceState:
    return begin_evidence("v2", "v1", gates, HISTORY)


def gate(state: EvidenceState, name: str, gates: GatesSpec = GATES) -> GateResult:
    return next(found for found in compare(state, gates, NOW).gates if found.gate == name)


def test_three_failures_in_a_row_trip_the_wire() -> None:
    state = begun()
    for _ in range(2):
        state = observe(state, interval(Arm(requests=1, errors=1), Arm(requests=50)), GATES)
    assert not compare(state, GATES, NOW).tripped
    state = observe(state, interval(Arm(requests=1, errors=1), Arm(requests=50)), GATES)
    assert "3 requests failed in a row" in compare(state, GATES, NOW).tripped


def test_a_backend_that_often_fails_needs_a_longer_run_of_failures() -> None:
    history = Arm(requests=1000, errors=500)
    state = begin_evidence("v2", "v1", GATES, history)
    state = observe(
        state, interval(Arm(requests=10, errors=10), Arm(requests=50, errors=25)), GATES
    )
    assert not compare(state, GATES, NOW).tripped
    state = observe(
        state, interval(Arm(requests=30, errors=30), Arm(requests=50, errors=25)), GATES
    )
    assert compare(state, GATES, NOW).tripped


def test_a_crash_loop_trips_the_wire_and_old_crashes_do_not() -> None:
    state = begun()
    for _ in range(3):
        state = observe(state, interval(Arm(), Arm(requests=9), crashes=1, unfit="warm-up"), GATES)
    assert "3 replicas ended" in compare(state, GATES, NOW).tripped
    assert not compare(state, GATES, NOW + timedelta(seconds=90)).tripped


def test_an_unfit_interval_judges_nobody() -> None:
    state = begun()
    bad = interval(Arm(requests=100, errors=50), Arm(requests=100), unfit="a replica warms up")
    assert observe(state, bad, GATES).errors == state.errors


def test_intervals_without_a_concurrent_baseline_say_nothing_of_the_ratio() -> None:
    state = observe(begun(), interval(Arm(requests=100, errors=5), Arm()), GATES)
    assert gate(state, "errors").harm == 0
    assert gate(state, "errors_alone").candidate == pytest.approx(0.05)


def test_a_plain_deterioration_while_alone_fails() -> None:
    state = observe(
        begun(), interval(Arm(requests=200, errors=1), Arm(requests=4000, errors=10)), GATES
    )
    state = observe(state, interval(Arm(requests=500, errors=3), Arm()), GATES)
    assert gate(state, "errors_alone").outcome is Outcome.PASS
    state = observe(state, interval(Arm(requests=500, errors=60), Arm()), GATES)
    assert gate(state, "errors_alone").outcome is Outcome.FAIL


def test_everything_twice_as_slow_is_seen_within_2000_requests() -> None:
    assert np.median([_until_slow(seed, 2.0, 1.0) for seed in range(15)]) <= 200


def test_a_p99_twice_as_high_is_seen_within_2000_requests() -> None:
    """Only one answer in fifty takes another, slow path: the median stays where it was."""
    assert np.median([_until_slow(seed, 3.5, 0.02) for seed in range(15)]) <= 2000


def test_equal_latency_is_not_called_slower() -> None:
    assert sum(_until_slow(seed, 1.0, 1.0) < math.inf for seed in range(20)) <= 1


def _until_slow(seed: int, factor: float, share: float) -> float:
    rng = np.random.default_rng(seed)
    history = Arm(requests=4000, latency_s=latencies(rng, 4000))
    state = begin_evidence("v2", "v1", GATES, history)
    for look in range(1, 61):
        values = rng.lognormal(-4, 0.5, 50)
        values = np.where(rng.random(50) < share, values * factor, values)
        state = observe(
            state,
            interval(Arm(requests=50, latency_s=histogram(values)),
                     Arm(requests=450, latency_s=latencies(rng, 450))),
            GATES,
        )  # fmt: skip
        if gate(state, "latency").outcome is Outcome.FAIL:
            return look * 50
    return math.inf


def test_without_history_slow_is_learned_from_the_baseline_first() -> None:
    rng = np.random.default_rng(1)
    state = begin_evidence("v2", "v1", GATES)
    assert "learning what is slow" in gate(state, "latency").detail
    theirs = Arm(requests=400, latency_s=latencies(rng, 400))
    state = observe(state, interval(Arm(requests=10), theirs), GATES)
    assert state.levels
    assert all(level.total.n == 0 for level in state.slow)


def test_no_errors_anywhere_passes_once_the_rate_is_proven_small() -> None:
    state = begun()
    state = observe(state, interval(Arm(requests=300), Arm(requests=3000)), GATES)
    result = gate(state, "errors")
    assert result.outcome is Outcome.INSUFFICIENT
    assert result.requests_to_decide is not None
    state = observe(
        state, interval(Arm(requests=result.requests_to_decide + 20), Arm(requests=9000)), GATES
    )
    assert gate(state, "errors").outcome is Outcome.PASS


def test_the_time_to_decide_comes_from_the_rate() -> None:
    state = observe(begun(), interval(Arm(requests=10), Arm(requests=90)), GATES)
    result = gate(state, "errors")
    assert result.requests_to_decide is not None
    assert result.decide_in_s == pytest.approx(result.requests_to_decide / 10)


def test_requests_to_see_a_change_are_known_before_any_traffic() -> None:
    needed = requests_to_see(0.01, 0.03, 0.1, GATES.errors, bars_of(GATES, "errors"))
    assert needed is not None
    assert 250 <= needed <= 600
    assert requests_to_see(0.01, 0.01, 0.1, GATES.errors, bars_of(GATES, "errors")) is None


def test_failures_of_one_replica_are_its_own() -> None:
    tallies = (
        ReplicaTally(id="a", host="h", requests=100, errors=30),
        ReplicaTally(id="b", host="h", requests=100),
    )
    ours = Arm(requests=200, errors=30, replicas=tallies)
    state = observe(begun(), interval(ours, Arm(requests=1800, errors=2)), GATES)
    blamed = compare(state, GATES, NOW).attribution
    assert (blamed.owner, blamed.subject) == (FaultOwner.REPLICA, "a")
    state = exclude_replica(state, "a")
    before = state.errors.total
    state = observe(state, interval(ours, Arm(requests=1800, errors=2)), GATES)
    assert state.errors.total.a == before.a
    assert state.errors.total.n == before.n + 100


def test_failures_of_all_replicas_are_the_versions() -> None:
    tallies = tuple(ReplicaTally(id=name, requests=100, errors=15) for name in "ab")
    ours = Arm(requests=200, errors=30, replicas=tallies)
    state = observe(begun(), interval(ours, Arm(requests=1800)), GATES)
    assert compare(state, GATES, NOW).attribution.owner is FaultOwner.VERSION


def _outage(state: EvidenceState, seconds: int = 20) -> EvidenceState:
    """Both releases fail every request, as when what they share is down."""
    tallies = [ReplicaTally(id=i, host="local", requests=5, errors=5) for i in ("a", "c")]
    for _ in range(seconds):
        ours = Arm(requests=5, errors=5, replicas=(tallies[0],))
        theirs = Arm(requests=45, errors=45, replicas=(tallies[1],))
        state = observe(state, interval(ours, theirs, weight=0.1), GATES)
        found = compare(state, GATES, NOW)
        assert found.tripped == ""
        assert found.attribution.owner is FaultOwner.HOST
        assert found.attribution.subject in {"", "local"}
    return state


def test_two_versions_that_fail_at_the_same_moment_are_not_judged_by_it() -> None:
    state = _outage(begun())
    found = compare(state, GATES, NOW)
    assert "both versions fail together" in found.attribution.detail
    assert not any(gate.outcome is Outcome.FAIL for gate in found.gates)
    assert found.candidate_requests == 0
    for _ in range(60):
        state = observe(state, interval(Arm(requests=5), Arm(requests=45), weight=0.1), GATES)
    after = compare(state, GATES, NOW)
    assert after.attribution.owner is not FaultOwner.HOST
    assert not any(gate.outcome is Outcome.FAIL for gate in after.gates)
    assert after.candidate_requests > 100


def test_a_candidate_that_goes_on_failing_when_the_host_is_well_again_is_rolled_back() -> None:
    state = _outage(begun(), seconds=5)
    for _ in range(15):
        ours = Arm(requests=5, errors=5)
        state = observe(state, interval(ours, Arm(requests=45), weight=0.1), GATES)
    assert "in a row" in compare(state, GATES, NOW).tripped


def test_a_candidate_that_fails_alone_trips_as_soon_as_ever() -> None:
    ours = Arm(requests=3, errors=3)
    state = observe(begun(), interval(ours, Arm(requests=45), weight=0.1), GATES)
    assert "in a row" in compare(state, GATES, NOW).tripped


def test_replicas_of_both_versions_that_end_together_are_no_crash_loop_of_one() -> None:
    both = interval(Arm(), Arm(), crashes=3, baseline_crashes=3)
    assert compare(observe(begun(), both, GATES), GATES, NOW).tripped == ""
    alone = interval(Arm(), Arm(), crashes=3, baseline_crashes=1)
    assert "ended by themselves" in compare(observe(begun(), alone, GATES), GATES, NOW).tripped


def test_a_bad_host_is_told_from_a_bad_version() -> None:
    ours = (
        ReplicaTally(id="a", host="sick", requests=100, errors=20),
        ReplicaTally(id="b", host="well", requests=100),
    )
    theirs = (
        ReplicaTally(id="c", host="sick", requests=900, errors=180),
        ReplicaTally(id="d", host="well", requests=900),
    )
    state = observe(
        begun(),
        interval(Arm(requests=200, errors=20, replicas=ours),
                 Arm(requests=1800, errors=180, replicas=theirs)),
        GATES,
    )  # fmt: skip
    blamed = compare(state, GATES, NOW).attribution
    assert (blamed.owner, blamed.subject) == (FaultOwner.HOST, "sick")


def test_requests_turned_away_are_a_matter_of_capacity() -> None:
    state = observe(begun(), interval(Arm(requests=80, rejected=20), Arm(requests=100)), GATES)
    assert compare(state, GATES, NOW).attribution.owner is FaultOwner.GATEWAY


def test_malformed_requests_to_both_are_the_clients() -> None:
    arm = Arm(requests=100, client_errors=60)
    state = observe(begun(), interval(arm, arm), GATES)
    assert compare(state, GATES, NOW).attribution.owner is FaultOwner.CLIENT


def test_a_share_that_is_off_makes_the_comparison_invalid() -> None:
    state = begun()
    for _ in range(20):
        state = observe(state, interval(Arm(requests=50), Arm(requests=50), weight=0.1), GATES)
    assert "something else decides" in compare(state, GATES, NOW).invalid


def test_answers_that_differ_too_often_fail() -> None:
    gates = GatesSpec(agreement=AgreementGate())
    state = observe(begun(gates), interval(Arm(), Arm(), compared=500, disagreed=60), gates)
    assert gate(state, "agreement", gates).outcome is Outcome.FAIL
    state = observe(begun(gates), interval(Arm(), Arm(), compared=500, disagreed=2), gates)
    assert gate(state, "agreement", gates).outcome is Outcome.PASS


def test_other_answers_are_noticed_and_the_same_are_not() -> None:
    gates = GatesSpec(outputs=OutputsGate())
    theirs = Arm(requests=5000, outputs=(("cat", 2500), ("dog", 2500)))
    for counts, wanted in (
        ((("cat", 900), ("dog", 100)), Outcome.FAIL),
        ((("cat", 510), ("dog", 490)), Outcome.PASS),
    ):
        ours = Arm(requests=1000, outputs=counts)
        state = observe(begun(gates), interval(ours, theirs), gates)
        assert gate(state, "outputs", gates).outcome is wanted


def test_a_mean_that_is_higher_than_tolerated_fails() -> None:
    gates = GatesSpec(means=(MeanGate(name="ttft_s"),))
    state = begun(gates)
    ours = Arm(quantities=(("ttft_s", Moments(count=500, total=700.0, squares=1100.0)),))
    theirs = Arm(quantities=(("ttft_s", Moments(count=500, total=500.0, squares=600.0)),))
    state = observe(state, interval(ours, theirs), gates)
    assert gate(state, "ttft_s", gates).outcome is Outcome.FAIL


def test_wrong_answers_fail_and_missing_labels_do_not_gate() -> None:
    assert not [found for found in compare(begun(), GATES, NOW).gates if found.gate == "accuracy"]
    state = begun()
    for _ in range(30):
        state = observe(state, interval(Arm(labelled=5, wrong=2), Arm(labelled=15, wrong=1)), GATES)
    assert gate(state, "accuracy").outcome is Outcome.FAIL


def test_a_new_step_counts_its_own_requests() -> None:
    state = observe(begun(), interval(Arm(requests=70), Arm(requests=700)), GATES)
    state = start_step(state)
    found = compare(state, GATES, NOW)
    assert (found.step_requests, found.candidate_requests) == (0, 70)


def test_evidence_survives_a_restart_as_json() -> None:
    gates = GatesSpec(means=(MeanGate(name="ttft_s"),), outputs=OutputsGate())
    state = begun(gates)
    arm = Arm(
        requests=100, errors=3, latency_s=latencies(np.random.default_rng(4), 100),
        replicas=(ReplicaTally(id="a", host="h", requests=100, errors=3),), labelled=9, wrong=2,
        outputs=(("cat", 60), ("dog", 40)),
        quantities=(("ttft_s", Moments(count=100, total=10.0, squares=2.0)),),
    )  # fmt: skip
    for _ in range(5):
        state = observe(state, interval(arm, replace(arm, requests=300), crashes=1), gates)
    adapter = TypeAdapter(EvidenceState)
    text = json.dumps(adapter.dump_python(state, mode="json"), allow_nan=False)
    assert adapter.validate_json(text) == state
    assert len(text) < 16_000
