"""Releases against their own past, on a fake clock that skips weeks."""

import random
from datetime import timedelta

from prometheus_ai.control.past.watch import EVERY_S, PastWatch
from prometheus_ai.domain.window import Histogram, Window, bucket_index
from tests.scenario.conftest import Judged

WEEK_S = 7 * 24 * 3600.0


def measured(line: Judged, version: str, latency_s: float, errors: int = 0) -> None:
    """Store what a release did in the last half hour, and what it answered."""
    now = line.clock.now()
    chance = random.Random(1)
    buckets: dict[int, int] = {}
    for _ in range(3000):
        index = bucket_index(latency_s * chance.lognormvariate(0, 0.3))
        buckets[index] = buckets.get(index, 0) + 1
    window = Window(
        backend="digits", version=version, start=now - timedelta(minutes=30), end=now,
        requests=3000, errors=errors,
        latency_s=Histogram(count=3000, sum=3000 * latency_s, buckets=buckets),
    )  # fmt: skip
    with line.store.write() as tx:
        tx.add_windows([window])


def regressed(line: Judged) -> list[str]:
    events = line.control.recent_events("digits", count=500)
    return [event.reason for event in events if event.kind == "release:regressed"]


def test_a_release_that_got_slower_than_last_week_is_flagged_once(judged: Judged) -> None:
    judged.deploy(b"one")
    judged.run()
    measured(judged, "v1", 0.010)
    watch = PastWatch(plane=judged.plane)
    watch.tick()
    assert regressed(judged) == []
    judged.clock.advance(WEEK_S)
    measured(judged, "v1", 0.020, errors=150)
    watch.tick()
    judged.clock.advance(EVERY_S)
    watch.tick()
    found = regressed(judged)
    assert len(found) == 3
    assert any("errors is 5.00%, usual is 0.00%" in reason for reason in found)
    assert all("v1 at this hour of the week, 1 weeks back" in reason for reason in found)
    why = judged.control.why("digits")
    assert {"v1 p95", "v1 p99", "v1 errors"} <= {each.what for each in why.differences}


def test_what_is_usual_again_is_no_longer_shown(judged: Judged) -> None:
    judged.deploy(b"one")
    judged.run()
    measured(judged, "v1", 0.010)
    judged.clock.advance(WEEK_S)
    measured(judged, "v1", 0.020)
    watch = PastWatch(plane=judged.plane)
    watch.tick()
    assert [each.what for each in judged.control.why("digits").differences] == ["v1 p95", "v1 p99"]
    judged.clock.advance(WEEK_S)
    measured(judged, "v1", 0.010)
    watch.tick()
    assert judged.control.why("digits").differences == ()


def test_a_new_release_is_compared_with_the_one_before_it(judged: Judged) -> None:
    judged.deploy(b"one")
    judged.run()
    measured(judged, "v1", 0.010)
    judged.clock.advance(WEEK_S - 60)
    judged.deploy(b"two")
    judged.run(60)
    measured(judged, "v2", 0.020)
    PastWatch(plane=judged.plane).tick()
    assert any("v1 at this hour of the week" in reason for reason in regressed(judged))


def test_other_answers_than_last_week_are_flagged(judged: Judged) -> None:
    judged.deploy(b"one")
    judged.run()
    measured(judged, "v1", 0.010)
    judged.answers.count("digits", "v1", {"cat": 900, "dog": 100}, judged.clock.now())
    judged.clock.advance(WEEK_S)
    measured(judged, "v1", 0.010)
    judged.answers.count("digits", "v1", {"cat": 300, "dog": 700}, judged.clock.now())
    judged.clock.advance(60)
    PastWatch(plane=judged.plane).tick()
    (reason,) = regressed(judged)
    assert reason.startswith("outputs is distance")
