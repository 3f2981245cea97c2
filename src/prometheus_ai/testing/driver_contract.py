"""What every Driver must do. Subclass in a test module and give the ``harness`` fixture."""

from collections.abc import Callable
from typing import Protocol

import pytest

from prometheus_ai.domain.release import Release
from prometheus_ai.domain.replica import ExitCause, Observed, ReplicaPhase
from prometheus_ai.domain.spec import ResourcesSpec
from prometheus_ai.ports.driver import Driver, ReplicaOrder
from prometheus_ai.testing.fake_driver import Behaviour

NEVER = Behaviour(ready_after_s=None)
FAILURES = {
    ExitCause.LOAD_FAILED: 65,
    ExitCause.ENGINE_MISSING: 69,
    ExitCause.BAD_CONFIG: 64,
    ExitCause.CRASH: 3,
}


class DriverHarness(Protocol):
    """A target under test."""

    driver: Driver

    def reopen(self) -> Driver:
        """Open another driver on the same target, as a restarted control plane does."""

    def order(self, replica_id: str, behaviour: Behaviour) -> ReplicaOrder:
        """Return an order for a prepared release ``digits/v1`` whose replica behaves so."""

    def until(self, happened: Callable[[], bool]) -> None:
        """Let time pass until it happened; fail after a bound."""


class DriverContract:
    """The promises of the port, one behaviour a test."""

    def test_a_new_target_has_no_replicas(self, harness: DriverHarness) -> None:
        assert harness.driver.observe() == ()

    def test_a_replica_starts_and_becomes_ready(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", Behaviour(ready_after_s=0.3)))
        started = _see(harness.driver, "a")
        assert started.phase is ReplicaPhase.STARTING
        assert (started.backend, started.version) == ("digits", "v1")
        _until_phase(harness, "a", ReplicaPhase.READY)
        ready = _see(harness.driver, "a")
        assert ready.endpoint is not None
        assert ready.endpoint.port > 0
        assert ready.pid is not None
        assert ready.exit is None

    def test_starting_twice_is_starting_once(self, harness: DriverHarness) -> None:
        order = harness.order("a", Behaviour())
        harness.driver.start(order)
        _until_phase(harness, "a", ReplicaPhase.READY)
        before = _see(harness.driver, "a")
        harness.driver.start(order)
        assert harness.driver.observe() == (before,)

    def test_replicas_are_apart(self, harness: DriverHarness) -> None:
        for name in ("a", "b"):
            harness.driver.start(harness.order(name, Behaviour()))
        for name in ("a", "b"):
            _until_phase(harness, name, ReplicaPhase.READY)
        one, two = _see(harness.driver, "a"), _see(harness.driver, "b")
        assert one.endpoint != two.endpoint
        assert one.pid != two.pid
        harness.driver.stop("a", 5)
        _until_phase(harness, "a", ReplicaPhase.EXITED)
        assert _see(harness.driver, "b").phase is ReplicaPhase.READY

    @pytest.mark.parametrize("cause", FAILURES)
    def test_an_end_has_its_cause(self, harness: DriverHarness, cause: ExitCause) -> None:
        behaviour = Behaviour(
            ready_after_s=None,
            exit_after_s=0.1,
            exit_cause=cause,
            exit_code=FAILURES[cause],
            exit_message="the file is no model",
        )
        harness.driver.start(harness.order("a", behaviour))
        _until_phase(harness, "a", ReplicaPhase.EXITED)
        ended = _see(harness.driver, "a").exit
        assert ended is not None
        assert ended.cause is cause
        assert ended.code == FAILURES[cause]
        assert ended.is_failure
        assert ended.message

    def test_a_replica_that_was_ready_may_crash(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", Behaviour(exit_after_s=1.0, exit_code=3)))
        _until_phase(harness, "a", ReplicaPhase.READY)
        _until_phase(harness, "a", ReplicaPhase.EXITED)
        seen = _see(harness.driver, "a")
        assert seen.exit is not None
        assert seen.exit.cause is ExitCause.CRASH

    def test_a_replica_that_makes_no_progress_is_stuck(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", Behaviour(stuck_after_s=0.5)))
        _until_phase(harness, "a", ReplicaPhase.STUCK)
        assert _see(harness.driver, "a").detail

    def test_stopping_drains_and_ends(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", Behaviour(drain_takes_s=0.5)))
        _until_phase(harness, "a", ReplicaPhase.READY)
        harness.driver.stop("a", 30)
        assert _see(harness.driver, "a").phase is ReplicaPhase.DRAINING
        _until_phase(harness, "a", ReplicaPhase.EXITED)
        ended = _see(harness.driver, "a").exit
        assert ended is not None
        assert ended.cause is ExitCause.STOPPED
        assert ended.code == 0
        assert not ended.is_failure

    def test_a_drain_has_an_end(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", Behaviour(drain_takes_s=3600)))
        _until_phase(harness, "a", ReplicaPhase.READY)
        harness.driver.stop("a", 0.2)
        _until_phase(harness, "a", ReplicaPhase.EXITED)
        ended = _see(harness.driver, "a").exit
        assert ended is not None
        assert ended.cause is ExitCause.STOPPED
        assert ended.signal == "SIGKILL"

    def test_a_replica_that_never_became_ready_can_be_stopped(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", NEVER))
        harness.driver.stop("a", 5)
        _until_phase(harness, "a", ReplicaPhase.EXITED)
        ended = _see(harness.driver, "a").exit
        assert ended is not None
        assert ended.cause is ExitCause.STOPPED

    def test_stopping_again_changes_nothing(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", Behaviour()))
        _until_phase(harness, "a", ReplicaPhase.READY)
        for _ in range(3):
            harness.driver.stop("a", 5)
        _until_phase(harness, "a", ReplicaPhase.EXITED)
        before = harness.driver.observe()
        harness.driver.stop("a", 5)
        assert harness.driver.observe() == before

    def test_an_unknown_id_is_no_error(self, harness: DriverHarness) -> None:
        harness.driver.stop("nobody", 5)
        harness.driver.forget("nobody")
        assert list(harness.driver.logs("nobody", 10, follow=False)) == []
        assert list(harness.driver.logs("nobody", 10, follow=True)) == []

    def test_an_ended_replica_stays_visible_until_forgotten(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", Behaviour()))
        harness.driver.stop("a", 5)
        _until_phase(harness, "a", ReplicaPhase.EXITED)
        harness.driver.start(harness.order("a", Behaviour()))
        assert _see(harness.driver, "a").phase is ReplicaPhase.EXITED
        harness.driver.forget("a")
        assert harness.driver.observe() == ()
        assert harness.reopen().observe() == ()

    def test_what_a_living_replica_uses_grows(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", Behaviour()))
        _until_phase(harness, "a", ReplicaPhase.READY)
        first = harness.driver.usage(["a", "nobody"])
        assert first.keys() == {"a"}
        assert first["a"].memory_bytes > 0
        assert harness.driver.usage(["a"])["a"].cpu_s >= first["a"].cpu_s >= 0
        harness.driver.stop("a", 5)
        _until_phase(harness, "a", ReplicaPhase.EXITED)
        assert harness.driver.usage(["a"]) == {}

    def test_a_living_replica_cannot_be_forgotten(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", Behaviour()))
        harness.driver.forget("a")
        assert _see(harness.driver, "a").phase is not ReplicaPhase.EXITED

    def test_another_driver_adopts_what_runs(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", Behaviour()))
        harness.driver.start(harness.order("b", Behaviour(exit_after_s=0.1, exit_code=3)))
        _until_phase(harness, "a", ReplicaPhase.READY)
        _until_phase(harness, "b", ReplicaPhase.EXITED)
        before = {seen.id: seen for seen in harness.driver.observe()}
        harness.driver.close()
        adopted = {seen.id: seen for seen in harness.reopen().observe()}
        assert adopted.keys() == before.keys()
        assert adopted["a"].phase is ReplicaPhase.READY
        for seen in ("a", "b"):
            assert adopted[seen].pid == before[seen].pid
            assert adopted[seen].endpoint == before[seen].endpoint
            assert adopted[seen].started_at == before[seen].started_at
            assert adopted[seen].exit == before[seen].exit

    def test_an_adopted_replica_is_not_started_again(self, harness: DriverHarness) -> None:
        order = harness.order("a", Behaviour())
        harness.driver.start(order)
        _until_phase(harness, "a", ReplicaPhase.READY)
        pid = _see(harness.driver, "a").pid
        harness.driver.close()
        another = harness.reopen()
        another.start(order)
        assert [seen.pid for seen in another.observe()] == [pid]

    def test_an_adopted_replica_can_be_stopped(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", Behaviour()))
        _until_phase(harness, "a", ReplicaPhase.READY)
        harness.driver.close()
        another = harness.reopen()
        another.stop("a", 5)
        harness.until(lambda: _see(another, "a").phase is ReplicaPhase.EXITED)
        ended = _see(another, "a").exit
        assert ended is not None
        assert ended.cause is ExitCause.STOPPED

    def test_lines_are_kept_beyond_the_end(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", Behaviour()))
        _until_phase(harness, "a", ReplicaPhase.READY)
        harness.until(lambda: bool(list(harness.driver.logs("a", 100, follow=False))))
        lines = list(harness.driver.logs("a", 100, follow=False))
        assert {line.replica for line in lines} == {"a"}
        assert {line.stream for line in lines} <= {"stdout", "stderr"}
        assert len(list(harness.driver.logs("a", 1, follow=False))) == 1
        assert list(harness.driver.logs("a", 0, follow=False)) == []
        harness.driver.stop("a", 5)
        _until_phase(harness, "a", ReplicaPhase.EXITED)
        harness.driver.forget("a")
        assert list(harness.driver.logs("a", 100, follow=False))[: len(lines)] == lines

    def test_following_an_ended_replica_ends(self, harness: DriverHarness) -> None:
        harness.driver.start(harness.order("a", Behaviour()))
        harness.driver.stop("a", 5)
        _until_phase(harness, "a", ReplicaPhase.EXITED)
        lines = list(harness.driver.logs("a", 100, follow=False))
        assert list(harness.driver.logs("a", 100, follow=True)) == lines

    def test_more_gpus_than_there_are_is_said(self, harness: DriverHarness) -> None:
        spec = harness.order("a", Behaviour()).release.spec
        have = harness.driver.capabilities().gpus
        wanting = spec.model_copy(update={"resources": ResourcesSpec(gpu=have + 1)})
        messages = harness.driver.unsupported_fields(wanting)
        assert len(messages) == 1
        assert "resources.gpu" in messages[0]
        assert "local" in messages[0]
        assert harness.driver.unsupported_fields(spec) == ()

    def test_what_is_prepared_can_be_pruned_when_unneeded(self, harness: DriverHarness) -> None:
        order = harness.order("a", Behaviour())
        said: list[str] = []
        harness.driver.prepare(order.release, order.lock_path, said.append)
        harness.driver.prepare(order.release, order.lock_path, said.append)
        assert harness.driver.prunable(frozenset({_lock_of(order.release)})) == ()
        names = harness.driver.prunable(frozenset())
        assert len(names) == 1
        assert harness.driver.prune(names) > 0
        assert harness.driver.prunable(frozenset()) == ()

    def test_pruning_an_unknown_name_frees_nothing(self, harness: DriverHarness) -> None:
        assert harness.driver.prune(("nothing",)) == 0


def _lock_of(release: Release) -> str:
    return release.inputs.lock.digest


def _see(driver: Driver, replica_id: str) -> Observed:
    return next(seen for seen in driver.observe() if seen.id == replica_id)


def _until_phase(harness: DriverHarness, replica_id: str, phase: ReplicaPhase) -> None:
    harness.until(lambda: _see(harness.driver, replica_id).phase is phase)
