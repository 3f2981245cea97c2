"""Rollouts where replicas are exchanged in place: rolling, recreate, and canaries without spare room."""

from pathlib import Path
from typing import Any

import pytest

from prometheus_ai.domain.errors import Refused
from prometheus_ai.domain.replica import ReplicaPhase
from prometheus_ai.ports.driver import Capabilities
from prometheus_ai.testing.fake_driver import Behaviour
from tests.scenario.conftest import ASKER, Judged
from tests.scenario.test_decisions import stored
from tests.scenario.test_rollout import kinds

GIB = 2**30
ROLLOUT: dict[str, Any] = {
    "steps": [20, 60, 100],
    "step_s": 2,
    "step_requests": 20,
    "bake_s": 10,
    "gates": {"warm_up_s": 1},
}
SLACK: dict[str, Any] = {"scaling": {"min": 1, "max": 4, "concurrency": 10, "down_s": 80_000}}
"""A release whose replicas are known to carry more than is asked of them."""


class Tight(Judged):
    """A machine with room for four replicas, which notes the most that it ever held."""

    capabilities = Capabilities(
        cpu_limit=True, memory_limit=True, cpus_total=4, memory_bytes_total=4 * GIB
    )

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.most = 0
        self.unserved = 0
        """Moments at which a release had traffic and no replica."""

    def flow(self, seconds: float, per_s: int = 80, step_s: float = 0.5) -> None:
        """Let time pass, and look after each step."""
        passed = 0.0
        while passed < seconds:
            super().flow(step_s, per_s, step_s)
            passed += step_s
            living = [
                seen
                for seen in self.target.replicas.values()
                if seen.phase is not ReplicaPhase.EXITED
            ]
            self.most = max(self.most, len(living))
            served = self.served()
            self.unserved += any(not served.get(version) for version in self.weights())

    def counts(self) -> dict[str, int]:
        """Return the replicas that run, by version."""
        found = self.control.backend("digits").releases
        return {release.version: release.replicas_ready for release in found}


@pytest.fixture
def tight(tmp_path: Path) -> Tight:
    line = Tight(tmp_path)
    for version in ("v1", "v2"):
        line.target.behaviours[f"digits/{version}"] = Behaviour(ready_after_s=2.0)
    return line


def begin(line: Tight, **fields: Any) -> None:
    line.deploy(b"one", replicas=4, **fields)
    line.run()
    line.flow(30, per_s=80, step_s=1.0)
    line.deploy(b"two", replicas=4, **fields)


def until_ended(line: Tight, turns: int = 4000) -> None:
    for _ in range(turns):
        line.flow(0.5)
        if line.control.backend("digits").rollout is None:
            return
    raise AssertionError(line.control.why("digits"))


def test_a_canary_without_spare_room_exchanges_replicas_and_never_holds_too_many(
    tight: Tight,
) -> None:
    begin(tight, **SLACK, rollout=ROLLOUT)
    until_ended(tight)
    assert tight.weights() == {"v2": 100.0}
    assert (tight.most, tight.unserved) == (4, 0)
    tight.flow(10)
    assert tight.counts() == {"v2": 4}


def test_a_harmful_release_is_rolled_back_from_an_exchange_to_the_whole_old_one(
    tight: Tight,
) -> None:
    tight.errors["v2"] = 0.5
    begin(tight, **SLACK, rollout=ROLLOUT)
    until_ended(tight)
    assert tight.weights() == {"v1": 100.0}
    tight.flow(20)
    assert tight.counts()["v1"] == 4
    assert (tight.most, tight.unserved) == (4, 0)


def test_an_exchange_that_is_not_known_to_carry_the_demand_is_refused_with_the_reason(
    tight: Tight,
) -> None:
    with pytest.raises(Refused, match="3 of 4 replicas carry the demand"):
        begin(tight, rollout=ROLLOUT)
    assert [release.version for release in tight.control.releases("digits")] == ["v1"]
    tight.flow(5)
    assert tight.counts() == {"v1": 4}
    assert [record.act for record in stored(tight)] == ["refuse"]


def test_a_rolling_rollout_replaces_one_replica_after_another(tight: Tight) -> None:
    begin(tight, **SLACK, rollout=ROLLOUT | {"strategy": "rolling"})
    seen = []
    for _ in range(600):
        tight.flow(0.5)
        share = tight.weights().get("v2", 0.0)
        if not seen or seen[-1] != share:
            seen.append(share)
        if tight.control.backend("digits").rollout is None:
            break
    assert seen == [0.0, 25.0, 50.0, 75.0, 100.0]
    assert (tight.most, tight.unserved) == (4, 0)


def test_recreate_ends_the_old_release_before_the_new_one_starts(tight: Tight) -> None:
    begin(tight, rollout=ROLLOUT | {"strategy": "recreate"})
    until_ended(tight)
    assert tight.weights() == {"v2": 100.0}
    assert tight.most == 4
    assert tight.counts() == {"v2": 4}


def test_recreate_goes_back_when_the_new_release_cannot_start(tight: Tight) -> None:
    tight.target.behaviours["digits/v2"] = Behaviour(exit_after_s=1.0, ready_after_s=None)
    begin(tight, rollout=ROLLOUT | {"strategy": "recreate"})
    until_ended(tight)
    tight.flow(30)
    assert "rollout:rolled_back" in kinds(tight)
    assert tight.weights() == {"v1": 100.0}
    assert tight.counts()["v1"] == 4
    assert tight.most == 4


def test_a_recreated_release_is_rolled_back_by_hand_within_the_room(tight: Tight) -> None:
    begin(tight, rollout=ROLLOUT | {"strategy": "recreate"})
    for _ in range(100):
        tight.flow(0.5)
        if tight.weights() == {"v2": 100.0}:
            break
    tight.control.rollback("digits", None, ASKER)
    tight.flow(30)
    assert tight.weights() == {"v1": 100.0}
    assert tight.counts()["v1"] == 4
    assert tight.most == 4


def test_an_exchange_goes_on_after_the_control_plane_died(tight: Tight) -> None:
    begin(tight, **SLACK, rollout=ROLLOUT)
    while tight.weights().get("v2", 0.0) < 20:
        tight.flow(0.5)
    tight.restart()
    until_ended(tight)
    assert tight.weights() == {"v2": 100.0}
    assert tight.most == 4


def test_promoting_an_exchange_takes_every_step_without_waiting_for_verdicts(tight: Tight) -> None:
    begin(tight, **SLACK, rollout=ROLLOUT | {"step_s": 1000, "patience_s": 2000})
    tight.flow(5)
    tight.control.promote("digits", None, ASKER)
    tight.flow(60)
    assert tight.weights() == {"v2": 100.0}
    assert (tight.most, tight.unserved) == (4, 0)


def test_a_release_exchanged_away_comes_back_whole_when_it_is_deployed_again(tight: Tight) -> None:
    begin(tight, **SLACK, rollout=ROLLOUT)
    until_ended(tight)
    tight.flow(10)
    tight.deploy(b"one", replicas=4, **SLACK, rollout=ROLLOUT)
    until_ended(tight)
    tight.flow(10)
    assert tight.weights() == {"v1": 100.0}
    assert tight.counts() == {"v1": 4}


def test_a_rollback_after_a_finished_exchange_loses_nothing_and_says_how_long_it_takes(
    tight: Tight,
) -> None:
    begin(tight, **SLACK, rollout=ROLLOUT)
    until_ended(tight)
    tight.flow(10)
    assert tight.counts() == {"v2": 4}
    back = tight.control.rollback("digits", None, ASKER)
    assert not back.is_in_force
    assert "v1" in back.waits_for
    assert "about" in back.waits_for
    tight.flow(60)
    assert tight.weights() == {"v1": 100.0}
    assert tight.counts()["v1"] == 4
    assert (tight.most, tight.unserved) == (4, 0)
