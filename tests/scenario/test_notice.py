"""A replica whose machine goes away is replaced and drained before its deadline."""

from collections.abc import Mapping
from datetime import datetime

import pytest

from prometheus_ai.domain.errors import InvalidInput, NotFound
from prometheus_ai.testing.fake_driver import Behaviour
from tests.scenario.conftest import ASKER, Line


class Kept:
    """Notices in memory."""

    def __init__(self) -> None:
        self.by: dict[str, datetime] = {}

    def read(self) -> Mapping[str, datetime]:
        """Return them."""
        return dict(self.by)

    def put(self, replica_id: str, by: datetime) -> None:
        """Keep one."""
        self.by[replica_id] = by


@pytest.fixture
def noticed(line: Line) -> Line:
    line.plane.notices = Kept()
    line.deploy(replicas=2, timeouts={"drain_s": 5})
    line.run()
    return line


def living(line: Line) -> set[str]:
    """Return the replicas that take new requests."""
    releases = line.gateway.table.backends[0].releases
    return {r.id for release in releases for r in release.replicas if not r.is_draining}


def test_a_noticed_replica_is_replaced_before_it_is_drained(noticed: Line) -> None:
    noticed.target.behaviours["digits/v1"] = Behaviour(ready_after_s=4.0)
    noticed.control.give_notice("digits-v1-1", 30.0, ASKER)
    noticed.run(2.0)
    assert living(noticed) == {"digits-v1-1", "digits-v1-2"}, (
        "it serves until its stand-in is ready"
    )
    noticed.run(10.0)
    assert living(noticed) == {"digits-v1-2", "digits-v1-3"}
    assert ("stop", "digits-v1-1") in noticed.driver.calls


def test_a_stand_in_that_is_late_does_not_keep_it_beyond_its_deadline(noticed: Line) -> None:
    noticed.target.behaviours["digits/v1"] = Behaviour(ready_after_s=None)
    noticed.control.give_notice("digits-v1-1", 12.0, ASKER)
    noticed.run(5.0)
    assert "digits-v1-1" in living(noticed)
    noticed.run(5.0)
    assert living(noticed) == {"digits-v1-2"}


def test_a_notice_outlives_the_control_plane(noticed: Line) -> None:
    kept = noticed.plane.notices
    noticed.control.give_notice("digits-v1-2", 30.0, ASKER)
    noticed.restart()
    noticed.plane.notices = kept
    noticed.run(10.0)
    assert "digits-v1-2" not in living(noticed)
    assert len(living(noticed)) == 2


def test_a_notice_is_on_record(noticed: Line) -> None:
    noticed.control.give_notice("digits-v1-1", 30.0, ASKER)
    kinds = [event.kind for event in noticed.control.recent_events("digits")]
    assert "replica:noticed" in kinds


def test_notices_for_nothing_are_refused(noticed: Line) -> None:
    with pytest.raises(NotFound):
        noticed.control.give_notice("digits-v1-9", 30.0, ASKER)
    with pytest.raises(InvalidInput):
        noticed.control.give_notice("digits-v1-1", 0.0, ASKER)
