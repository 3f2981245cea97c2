"""Release transitions, and the weights that may be in force."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai.domain.release import Backend, ReleasePhase, ReleaseState
from prometheus_ai.domain.replica import (
    Endpoint,
    Exit,
    ExitCause,
    Observed,
    ReplicaGoal,
    ReplicaPhase,
    ReplicaRecord,
)
from prometheus_ai.domain.route import WEIGHT_SUM, Weights
from prometheus_ai.reconcile import (
    BackendView,
    ReleaseView,
    advance,
    rescale,
    weights_to_serve,
    without_failed,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def release(
    version: str, phase: ReleasePhase, *, ready: int = 1, wanted: int = 1, **values: object
) -> tuple[ReleaseView, list[Observed]]:
    state = ReleaseState(
        backend="digits", version=version, phase=phase, replicas_wanted=wanted,
        phase_since=NOW - timedelta(seconds=30), unrouted_since=values.pop("unrouted_since", None),  # type: ignore[arg-type]
    )  # fmt: skip
    records = tuple(
        ReplicaRecord(
            id=f"digits-{version}-{number}", backend="digits", version=version, target="local",
            goal=ReplicaGoal.RUN, created_at=NOW - timedelta(seconds=20),
        )
        for number in range(ready)
    )  # fmt: skip
    observed = [
        Observed(
            id=record.id, backend="digits", version=version, phase=ReplicaPhase.READY,
            endpoint=Endpoint(host="127.0.0.1", port=1), started_at=NOW,
        )
        for record in records
    ]  # fmt: skip
    view = ReleaseView(
        state=state, target="local", startup_s=60, drain_s=10, keep_warm_s=600, records=records
    )
    return replace(view, **values), observed  # type: ignore[arg-type]


def view(
    *parts: tuple[ReleaseView, list[Observed]], wanted: Weights, in_force: Weights
) -> BackendView:
    return BackendView(
        backend=Backend(name="digits", created_at=NOW, wanted=wanted, in_force=in_force),
        releases=tuple(part for part, _ in parts),
        observed={seen.id: seen for _, observed in parts for seen in observed},
    )


V1: Weights = (("v1", 10_000),)
SPLIT: Weights = (("v1", 9_000), ("v2", 1_000))


def test_a_release_is_ready_once_all_its_replicas_are() -> None:
    half = release("v1", ReleasePhase.STARTING, ready=1, wanted=2)
    assert advance(view(half, wanted=V1, in_force=()), NOW) == ()
    whole = release("v1", ReleasePhase.STARTING, ready=2, wanted=2)
    (step,) = advance(view(whole, wanted=V1, in_force=()), NOW)
    assert step.state.phase is ReleasePhase.READY


def failure(cause: ExitCause) -> ReplicaRecord:
    return ReplicaRecord(
        id="digits-v2-9", backend="digits", version="v2", target="local", goal=ReplicaGoal.GONE,
        created_at=NOW - timedelta(seconds=5), ended_at=NOW,
        exit=Exit(cause=cause, code=65, at=NOW, message="not a model"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "times", "fails"),
    [
        (ExitCause.LOAD_FAILED, 1, True),
        (ExitCause.BAD_CONFIG, 1, True),
        (ExitCause.CRASH, 2, False),
        (ExitCause.CRASH, 3, True),
        (ExitCause.STOPPED, 9, False),
    ],
)
def test_a_release_that_cannot_start_fails_with_the_cause(
    cause: ExitCause, times: int, fails: bool
) -> None:
    broken = release("v2", ReleasePhase.STARTING, ready=0, ended=(failure(cause),) * times)
    steps = advance(view(broken, wanted=V1, in_force=V1), NOW)
    assert bool(steps) is fails
    if fails:
        assert steps[0].state.phase is ReleasePhase.FAILED
        assert "not a model" in steps[0].state.failure


def test_a_release_without_traffic_is_kept_warm_then_retired() -> None:
    routed = release("v1", ReleasePhase.READY)
    fresh = release("v2", ReleasePhase.READY)
    (step,) = advance(view(routed, fresh, wanted=V1, in_force=V1), NOW)
    assert step.state.unrouted_since == NOW
    old = release("v2", ReleasePhase.READY, unrouted_since=NOW - timedelta(seconds=600))
    (step,) = advance(view(routed, old, wanted=V1, in_force=V1), NOW)
    assert step.state.phase is ReleasePhase.RETIRED


def test_a_retired_release_starts_again_when_traffic_is_wanted() -> None:
    routed = release("v1", ReleasePhase.READY)
    retired = release("v2", ReleasePhase.RETIRED, ready=0)
    (step,) = advance(view(routed, retired, wanted=SPLIT, in_force=V1), NOW)
    assert step.state.phase is ReleasePhase.STARTING


@pytest.mark.parametrize(
    ("phase", "ready", "expected"),
    [
        (ReleasePhase.READY, 1, SPLIT),
        (ReleasePhase.READY, 0, V1),
        (ReleasePhase.STARTING, 1, V1),
        (ReleasePhase.PREPARING, 0, V1),
    ],
)
def test_weights_move_only_to_ready_releases(
    phase: ReleasePhase, ready: int, expected: Weights
) -> None:
    parts = release("v1", ReleasePhase.READY), release("v2", phase, ready=ready)
    assert weights_to_serve(view(*parts, wanted=SPLIT, in_force=V1)) == expected


def test_a_crash_of_all_replicas_does_not_undo_weights_in_force() -> None:
    parts = release("v1", ReleasePhase.READY), release("v2", ReleasePhase.READY, ready=0)
    assert weights_to_serve(view(*parts, wanted=SPLIT, in_force=SPLIT)) == SPLIT


def test_a_failed_release_leaves_the_wanted_route() -> None:
    parts = release("v1", ReleasePhase.READY), release("v2", ReleasePhase.FAILED, ready=0)
    assert without_failed(view(*parts, wanted=SPLIT, in_force=V1)) == V1
    assert without_failed(view(*parts, wanted=V1, in_force=V1)) is None


weights = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3), st.integers(1, 10_000), min_size=1, max_size=6
)


@given(weights=weights)
def test_rescaling_keeps_the_constant_sum_and_invents_nobody(weights: dict[str, int]) -> None:
    scaled = rescale(tuple(weights.items()))
    assert sum(weight for _, weight in scaled) == WEIGHT_SUM
    assert {version for version, _ in scaled} <= set(weights)
