"""The line from deploy to delete, on a fake clock."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from prometheus_ai.domain.errors import Conflict, InvalidInput, NotFound
from prometheus_ai.domain.replica import ExitCause, Observed, ReplicaPhase
from prometheus_ai.testing.fake_driver import Behaviour, FakeDriver
from tests.scenario.conftest import ASKER, Line


def test_a_first_deploy_takes_all_traffic_once_ready(line: Line) -> None:
    line.target.behaviours["digits/v1"] = Behaviour(ready_after_s=3)
    assert line.deploy().version == "v1"
    line.run(2)
    assert line.weights() == {}
    assert line.phases() == {"v1": "starting"}
    line.run(3)
    assert line.weights() == {"v1": 100.0}
    assert line.served() == {"v1": 1}
    assert line.control.backend("digits").summary.state == "ready"


class Later(ThreadPoolExecutor):
    """Keeps work until somebody does it."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)
        self.kept: list[Callable[[], Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.kept.append(lambda: fn(*args, **kwargs))
        return Future()

    def work(self) -> None:
        kept, self.kept = self.kept, []
        for one in kept:
            one()


class WorkedDuringLook(FakeDriver):
    """Its workers finish right after it was asked what runs, before the answer is used."""

    workers: Later

    def observe(self) -> tuple[Observed, ...]:
        seen = super().observe()
        self.workers.work()
        return seen


def test_a_start_that_completes_during_a_look_is_not_taken_for_lost(line: Line) -> None:
    driver = WorkedDuringLook(line.clock, line.target)
    driver.workers = line.plane.workers = Later()
    line.plane.drivers = {"local": driver}
    line.deploy(replicas=3)
    line.run()
    assert line.phases() == {"v1": "ready"}
    assert line.served() == {"v1": 3}
    assert line.control.backend("digits").releases[0].restarts_24h == 0


def test_deploying_the_same_spec_twice_changes_nothing(line: Line) -> None:
    line.deploy()
    line.run()
    before = line.control.recent_events(count=100)
    again = line.deploy()
    line.run()
    assert (again.is_new, again.changed, again.version) == (False, False, "v1")
    assert line.control.recent_events(count=100) == before


def test_a_version_never_changes_its_content(line: Line) -> None:
    line.deploy(version="v7")
    with pytest.raises(Conflict, match="immutable"):
        line.deploy(b"other", version="v7")


def test_canary_promote_rollback(line: Line) -> None:
    line.deploy(b"one")
    line.run()
    line.deploy(b"two", weight=10)
    line.run()
    assert line.weights() == {"v1": 90.0, "v2": 10.0}
    assert line.control.promote("digits", None, ASKER).is_in_force
    assert line.weights() == {"v2": 100.0}
    line.deploy(b"three", weight=10)
    line.run()
    assert line.weights() == {"v2": 90.0, "v3": 10.0}
    back = line.control.rollback("digits", None, ASKER)
    assert back.is_in_force
    assert line.weights() == {"v2": 100.0}
    assert line.control.rollback("digits", None, ASKER).is_in_force
    assert line.weights() == {"v1": 100.0}


def test_a_release_that_cannot_load_never_gets_traffic_and_says_why(line: Line) -> None:
    line.deploy(b"one")
    line.run()
    line.target.behaviours["digits/v2"] = Behaviour(
        ready_after_s=None, exit_after_s=0.2, exit_cause=ExitCause.LOAD_FAILED, exit_code=65,
        exit_message="not an ONNX file",
    )  # fmt: skip
    line.deploy(b"two", weight=50)
    line.run()
    assert line.phases() == {"v1": "ready", "v2": "failed"}
    assert line.weights() == {"v1": 100.0}
    assert "not an ONNX file" in line.control.why("digits").differences[0].why
    with pytest.raises(Conflict, match="not an ONNX file"):
        line.control.route("digits", {"v2": 100}, ASKER)


def test_a_rollback_to_a_retired_release_starts_it_first(line: Line) -> None:
    line.deploy(b"one", route={"keep_warm_s": 10})
    line.run()
    line.deploy(b"two", route={"keep_warm_s": 10})
    line.run(30)
    assert line.phases() == {"v1": "retired", "v2": "ready"}
    assert line.served() == {"v2": 1}
    line.target.behaviours["digits/v1"] = Behaviour(ready_after_s=2)
    back = line.control.rollback("digits", None, ASKER)
    assert not back.is_in_force
    assert "v1" in back.waits_for
    assert line.weights() == {"v2": 100.0}
    line.run()
    assert line.weights() == {"v1": 100.0}


def test_a_dead_replica_leaves_the_routes_and_is_replaced(line: Line) -> None:
    line.deploy(replicas=2)
    line.run()
    line.driver.crash("digits-v1-1", ExitCause.OUT_OF_MEMORY, message="used 1.2 GiB of 1 GiB")
    line.run(0)
    assert line.served() == {"v1": 1}
    line.run(5)
    assert line.served() == {"v1": 2}
    assert line.control.releases("digits")[0].restarts_24h == 1
    assert any("1.2 GiB" in event.reason for event in line.control.recent_events(count=10))


def test_a_stuck_replica_is_replaced(line: Line) -> None:
    line.deploy()
    line.run()
    line.driver.set_phase("digits-v1-1", ReplicaPhase.STUCK, "no batch for 31 s")
    line.run(10)
    assert [replica.id for replica in line.control.backend("digits").replicas] == ["digits-v1-2"]


def test_scaling_drains_before_it_stops(line: Line) -> None:
    line.deploy(replicas=3)
    line.run()
    line.driver.set_requests_active("digits-v1-3", 4)
    line.driver.set_requests_active("digits-v1-2", 4)
    line.control.scale("digits", 2, None, ASKER)
    assert line.served() == {"v1": 2}
    assert ("stop", "digits-v1-1") not in line.driver.calls
    line.run()
    assert line.served() == {"v1": 2}
    assert {r.id for r in line.control.backend("digits").replicas} == {"digits-v1-2", "digits-v1-3"}


def test_nothing_is_stopped_that_the_gateway_may_still_use(line: Line) -> None:
    line.deploy(replicas=2)
    line.run()
    line.gateway.is_reachable = False
    line.control.scale("digits", 1, None, ASKER)
    line.run(60)
    assert not [call for call in line.driver.calls if call[0] == "stop"]
    line.gateway.is_reachable = True
    line.run()
    assert len([call for call in line.driver.calls if call[0] == "stop"]) == 1


def test_a_restarted_control_plane_adopts_and_starts_nothing(line: Line) -> None:
    line.deploy(replicas=2)
    line.run()
    starts = len(line.target.replicas)
    line.restart()
    line.run()
    assert len(line.target.replicas) == starts
    assert not [call for call in line.driver.calls if call[0] == "start"]
    assert line.weights() == {"v1": 100.0}


def test_replicas_nobody_knows_are_ended(line: Line) -> None:
    """A crash between a start and its record cannot happen; a restored older database can."""
    line.deploy()
    line.run()
    stray = replace(line.target.replicas["digits-v1-1"], id="digits-v1-99")
    line.target.replicas[stray.id] = stray
    line.target.snapshot = None
    line.run()
    assert set(line.target.replicas) == {"digits-v1-1"}


def test_delete_withdraws_traffic_then_drains_then_forgets(line: Line) -> None:
    line.deploy()
    line.run()
    line.control.delete("digits", ASKER)
    assert line.served() == {}
    line.run()
    with pytest.raises(NotFound):
        line.control.backend("digits")
    assert line.target.replicas == {}
    assert line.control.recent_events(count=1)[0].kind == "backend:deleted"


def test_a_clock_that_steps_back_stops_nothing(line: Line) -> None:
    line.deploy()
    line.run()
    line.clock.step_wall(-3600)
    line.deploy(b"two", weight=50)
    line.run()
    assert line.weights() == {"v1": 50.0, "v2": 50.0}
    assert line.control.audit_verify().is_intact


def test_routes_to_unknown_versions_are_refused(line: Line) -> None:
    line.deploy()
    line.run()
    with pytest.raises(NotFound, match="v9"):
        line.control.route("digits", {"v1": 50, "v9": 50}, ASKER)
    with pytest.raises(InvalidInput, match="sum to 90"):
        line.control.route("digits", {"v1": 90}, ASKER)
    assert line.weights() == {"v1": 100.0}


def test_a_rejected_table_keeps_the_old_one_and_why_says_so(line: Line) -> None:
    line.deploy()
    line.run()
    for generation in range(line.gateway.table.generation, 100):
        line.gateway.refuse(generation, "weights make no sense")
    line.deploy(b"two")
    line.run()
    assert line.weights() == {"v1": 100.0}
    assert any("weights make no sense" in d.why for d in line.control.why("digits").differences)
    assert len([e for e in line.control.recent_events(count=99) if e.kind == "route:rejected"]) == 1
    line.gateway.accept()
    line.run(10)
    assert line.weights() == {"v2": 100.0}


def test_a_store_restored_from_a_backup_catches_up_with_the_gateway(line: Line) -> None:
    line.deploy()
    line.run()
    ahead = replace(line.gateway.table, generation=500)
    assert line.gateway.publish(ahead).accepted
    line.deploy(b"two")
    line.run(20)
    assert line.weights() == {"v2": 100.0}
    assert line.gateway.table.generation > 500


def test_one_broken_backend_leaves_the_others_alone(line: Line) -> None:
    line.target.behaviours["other/v1"] = Behaviour(ready_after_s=None, exit_after_s=0.1)
    line.deploy()
    line.deploy(b"other", name="other")
    line.run(20)
    assert line.phases("other") == {"v1": "failed"}
    assert line.weights() == {"v1": 100.0}


def test_gc_keeps_what_any_release_needs(line: Line) -> None:
    line.deploy(b"one")
    line.run()
    line.artefacts.put_stream([b"orphan"], expected=None)
    before = line.control.collect(dry_run=True, asker=ASKER)
    assert len(before.artefacts) == 1
    line.control.collect(dry_run=False, asker=ASKER)
    assert line.control.collect(dry_run=True, asker=ASKER).artefacts == ()
    assert line.deploy(b"one").changed is False
