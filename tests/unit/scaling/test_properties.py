"""What holds for every scaling decision."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_ai.domain.demand import DemandSample, ScalingFacts
from prometheus_ai.domain.policy import LatencyTarget, ScalingSpec
from prometheus_ai.scaling import begin_scaling, target

START = datetime(2026, 1, 1, tzinfo=UTC)
POLICIES = st.builds(
    ScalingSpec,
    min=st.integers(0, 3),
    max=st.integers(3, 20),
    cpu=st.sampled_from([None, 60.0]),
    latency=st.sampled_from([None, LatencyTarget(ms=100)]),
    down_s=st.sampled_from([None, 0.0, 120.0]),
    down_percent=st.sampled_from([10.0, 50.0, 100.0]),
    idle_s=st.just(60.0),
    missing_replicas=st.sampled_from([None, 2]),
)
VALUES = st.one_of(st.none(), st.floats(0, 200))
SAMPLES = st.one_of(
    st.none(),
    st.builds(
        dict, active=st.floats(0, 500), pending=st.floats(0, 500), cpu_percent=VALUES,
        latency_ms=VALUES, latency_count=st.integers(0, 1000), arrivals_per_s=VALUES,
    ),
)  # fmt: skip
TURNS = st.lists(
    st.tuples(
        SAMPLES, st.sampled_from([1.0, 5.0, 30.0, 400.0]), st.integers(0, 12), st.integers(0, 3)
    ),
    max_size=40,
)


@given(policy=POLICIES, turns=TURNS, replicas=st.integers(0, 12))
@settings(deadline=None, max_examples=200)
def test_decisions_stay_in_bounds_and_silence_never_shrinks(
    policy: ScalingSpec,
    turns: list[tuple],
    replicas: int,  # type: ignore[type-arg]
) -> None:
    now = START
    state = begin_scaling(now, replicas)
    for values, seconds, ready, floor in turns:
        now += timedelta(seconds=seconds)
        sample = None if values is None else DemandSample(at=now, **values)
        facts = ScalingFacts(
            sample=sample, replicas=replicas, ready=min(ready, replicas), concurrency=10,
            floor=floor, activator_ready=True,
        )  # fmt: skip
        decided = target(state, facts, policy, now)
        again = target(state, facts, policy, now)
        assert decided == again
        wanted = decided.replicas
        assert wanted >= floor
        if sample is None:
            assert wanted >= min(replicas, wanted + 1)
            assert wanted >= replicas
        else:
            assert wanted <= max(policy.max, floor)
            if values["active"] + values["pending"] > 0:
                assert wanted >= 1
        if wanted == 0 and replicas > 0:
            assert policy.min == 0
            assert sample is not None
        assert len(decided.state.demand) <= 60
        assert len(decided.state.kept) <= 31
        state, replicas = decided.state, wanted


@given(load=st.floats(0, 100), replicas=st.integers(1, 12))
@settings(deadline=None, max_examples=15)
def test_a_steady_demand_comes_to_rest(load: float, replicas: int) -> None:
    """Under the same demand the number settles, and then never changes again."""
    policy = ScalingSpec(max=50, down_s=30)
    now = START
    state = begin_scaling(now, replicas)
    counts = []
    for _ in range(600):
        now += timedelta(seconds=1)
        sample = DemandSample(at=now, active=load, pending=0)
        facts = ScalingFacts(sample=sample, replicas=replicas, ready=replicas, concurrency=10)
        decided = target(state, facts, policy, now)
        state, replicas = decided.state, decided.replicas
        counts.append(replicas)
    assert len(set(counts[-150:])) == 1
    assert replicas * 10 >= load


@given(first=st.floats(1, 200), more=st.floats(1.2, 5))
@settings(deadline=None, max_examples=20)
def test_more_demand_never_wants_fewer(first: float, more: float) -> None:
    policy = ScalingSpec(max=1000)

    def settled(load: float) -> int:
        now, replicas = START, 1
        state = begin_scaling(now, 0)
        for _ in range(100):
            now += timedelta(seconds=1)
            sample = DemandSample(at=now, active=load, pending=0)
            facts = ScalingFacts(sample=sample, replicas=replicas, ready=replicas, concurrency=4)
            decided = target(state, facts, policy, now)
            state, replicas = decided.state, decided.replicas
        return replicas

    assert settled(first * more) >= settled(first)
