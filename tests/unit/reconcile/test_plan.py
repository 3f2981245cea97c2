"""The planner: desired and observed replicas become actions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai.domain.release import Backend, ReleasePhase, ReleaseState
from prometheus_ai.domain.replica import (
    CloseRecord,
    DrainReplica,
    Endpoint,
    Exit,
    ExitCause,
    MarkReady,
    Observed,
    ReplicaGoal,
    ReplicaPhase,
    ReplicaRecord,
    StartReplica,
    StopReplica,
)
from prometheus_ai.reconcile import BackendView, ReleaseView, plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def record(number: int, goal: ReplicaGoal = ReplicaGoal.RUN, **values: object) -> ReplicaRecord:
    base = ReplicaRecord(
        id=f"digits-v1-{number}", backend="digits", version="v1", target="local", goal=goal,
        created_at=NOW - timedelta(seconds=100 - number), ready_at=NOW,
    )  # fmt: skip
    return replace(base, **values)  # type: ignore[arg-type]


def seen(of: ReplicaRecord, phase: ReplicaPhase = ReplicaPhase.READY, **values: object) -> Observed:
    base = Observed(
        id=of.id, backend="digits", version="v1", phase=phase,
        endpoint=Endpoint(host="127.0.0.1", port=1), started_at=NOW - timedelta(seconds=5),
    )  # fmt: skip
    return replace(base, **values)  # type: ignore[arg-type]


def view(
    records: list[ReplicaRecord],
    observed: list[Observed],
    *,
    wanted: int = 1,
    ended: tuple[ReplicaRecord, ...] = (),
    phase: ReleasePhase = ReleasePhase.READY,
    **values: object,
) -> BackendView:
    state = ReleaseState(
        backend="digits", version="v1", phase=phase, replicas_wanted=wanted, phase_since=NOW
    )
    release = ReleaseView(
        state=state, target="local", startup_s=60, drain_s=10, keep_warm_s=600,
        records=tuple(records), ended=ended,
    )  # fmt: skip
    backend = Backend(name="digits", created_at=NOW, wanted=(("v1", 10_000),))
    base = BackendView(
        backend=backend, releases=(release,), observed={found.id: found for found in observed}
    )
    return replace(base, **values)  # type: ignore[arg-type]


def failed(number: int, ago_s: float, cause: ExitCause = ExitCause.CRASH) -> ReplicaRecord:
    at = NOW - timedelta(seconds=ago_s)
    return record(
        number, ReplicaGoal.GONE, ready_at=None, ended_at=at, exit=Exit(cause=cause, at=at)
    )


def test_nothing_is_done_when_what_runs_is_what_is_wanted() -> None:
    one = record(1)
    assert plan(view([one], [seen(one)]), NOW).actions == ()


def test_missing_replicas_are_started() -> None:
    actions = plan(view([], [], wanted=3), NOW).actions
    assert len(actions) == 3
    assert all(isinstance(action, StartReplica) for action in actions)


def test_nothing_is_concluded_from_an_unreachable_target() -> None:
    one = record(1)
    silent = view([one], [], unreachable=frozenset({"local"}))
    assert plan(silent, NOW).actions == ()


def test_a_replica_being_launched_is_neither_lost_nor_started_twice() -> None:
    one = record(1)
    assert plan(view([one], [], launching=frozenset({one.id})), NOW).actions == ()


def test_a_vanished_replica_is_closed_as_lost_and_replaced() -> None:
    close, start = plan(view([record(1)], []), NOW).actions
    assert isinstance(close, CloseRecord)
    assert close.exit.cause is ExitCause.LOST
    assert isinstance(start, StartReplica)


def test_an_exit_keeps_the_reason_for_which_the_control_plane_ended_it() -> None:
    one = record(
        1, ReplicaGoal.GONE, stop_cause=ExitCause.STARTUP_TIMEOUT, reason="not ready in 60 s"
    )
    ended = seen(
        one, ReplicaPhase.EXITED, exit=Exit(cause=ExitCause.SIGNAL, signal="SIGKILL", at=NOW)
    )
    close = plan(view([one], [ended], wanted=0), NOW).actions[0]
    assert isinstance(close, CloseRecord)
    assert (close.exit.cause, close.exit.signal) == (ExitCause.STARTUP_TIMEOUT, "SIGKILL")


def test_the_idlest_and_youngest_replica_is_drained_first() -> None:
    busy, idle = record(1), record(2)
    observed = [seen(busy, requests_active=5), seen(idle, requests_active=0)]
    (action,) = plan(view([busy, idle], observed, wanted=1), NOW).actions
    assert action == DrainReplica(id=idle.id, reason="fewer replicas wanted")


def test_a_replica_that_is_not_ready_goes_before_a_ready_one() -> None:
    ready, starting = record(1), record(2)
    observed = [seen(ready), seen(starting, ReplicaPhase.STARTING)]
    (action,) = plan(view([ready, starting], observed, wanted=1), NOW).actions
    assert isinstance(action, StopReplica)
    assert action.id == starting.id


@pytest.mark.parametrize(
    ("since_s", "active", "stops"),
    [(0.1, 0, False), (1.0, 3, False), (1.0, 0, True), (1.0, None, True), (11.0, 3, True)],
)
def test_a_draining_replica_stops_when_idle_or_overdue(
    since_s: float, active: int | None, stops: bool
) -> None:
    one = record(1, ReplicaGoal.DRAIN, drain_since=NOW - timedelta(seconds=since_s))
    actions = plan(view([one], [seen(one, requests_active=active)], wanted=0), NOW).actions
    assert [type(action) for action in actions] == ([StopReplica] if stops else [])


def test_a_stuck_replica_is_ended_and_replaced() -> None:
    one = record(1)
    stop, start = plan(view([one], [seen(one, ReplicaPhase.STUCK)]), NOW).actions
    assert isinstance(stop, StopReplica)
    assert stop.cause is ExitCause.STUCK
    assert isinstance(start, StartReplica)


def test_a_start_beyond_its_bound_is_ended_with_that_cause() -> None:
    one = record(1, ready_at=None)
    slow = seen(one, ReplicaPhase.STARTING, started_at=NOW - timedelta(seconds=61))
    (stop,) = plan(view([one], [slow]), NOW).actions
    assert isinstance(stop, StopReplica)
    assert stop.cause is ExitCause.STARTUP_TIMEOUT


def test_the_first_readiness_is_marked() -> None:
    one = record(1, ready_at=None)
    assert plan(view([one], [seen(one)]), NOW).actions == (MarkReady(id=one.id),)


def test_a_stop_is_asked_again_until_the_replica_is_gone() -> None:
    one = record(1, ReplicaGoal.GONE, reason="drained")
    (stop,) = plan(view([one], [seen(one, ReplicaPhase.DRAINING)], wanted=0), NOW).actions
    assert isinstance(stop, StopReplica)


def test_restarts_back_off_and_say_when_they_come() -> None:
    ended = (failed(1, 3.0), failed(2, 2.0), failed(3, 1.0))
    waiting = plan(view([], [], ended=ended), NOW)
    assert waiting.actions == ()
    assert waiting.look_again_at == NOW + timedelta(seconds=1.0)
    later = plan(view([], [], ended=ended), NOW + timedelta(seconds=1.0))
    assert [type(action) for action in later.actions] == [StartReplica]


def test_old_failures_are_forgiven() -> None:
    assert plan(view([], [], ended=(failed(1, 601.0),)), NOW).actions != ()


@pytest.mark.parametrize(
    "phase", [ReleasePhase.PREPARING, ReleasePhase.RETIRED, ReleasePhase.FAILED]
)
def test_releases_at_rest_have_no_replicas(phase: ReleasePhase) -> None:
    one = record(1)
    (action,) = plan(view([one], [seen(one)], phase=phase), NOW).actions
    assert isinstance(action, DrainReplica)


phases = st.sampled_from(list(ReplicaPhase))
goals = st.sampled_from(list(ReplicaGoal))


@given(
    replicas=st.lists(st.tuples(goals, st.none() | phases), max_size=8),
    wanted=st.integers(0, 8),
)
def test_acting_on_the_plan_never_overshoots(
    replicas: list[tuple[ReplicaGoal, ReplicaPhase | None]], wanted: int
) -> None:
    records = [record(number, goal) for number, (goal, _) in enumerate(replicas)]
    observed = [
        seen(found, phase)
        for found, (_, phase) in zip(records, replicas, strict=True)
        if phase is not None
    ]
    actions = plan(view(records, observed, wanted=wanted), NOW).actions
    gone = {ReplicaPhase.EXITED, ReplicaPhase.STUCK, None}
    living = {
        found.id
        for found, (goal, phase) in zip(records, replicas, strict=True)
        if goal is ReplicaGoal.RUN and phase not in gone
    }
    ending = {a.id for a in actions if isinstance(a, DrainReplica | StopReplica)}
    starts = sum(isinstance(action, StartReplica) for action in actions)
    assert len(living - ending) + starts == wanted
    assert not (starts and ending & living)
