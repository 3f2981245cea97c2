"""Too little traffic: kept requests are sent again to both releases, and users notice nothing of it."""

import json
from collections import Counter
from typing import Any

import pytest

from prometheus_ai.domain.answers import KeptRequest, Replayed
from prometheus_ai.domain.errors import Unsupported
from prometheus_ai.domain.replica import Endpoint
from tests.scenario.conftest import ASKER, Judged

RECORDING = {"requests": 1500}
ROLLOUT: dict[str, Any] = {
    "steps": [10, 100],
    "step_s": 5,
    "step_requests": 50,
    "patience_s": 60,
    "bake_s": 30,
    "low_traffic": "replay",
    "waits_max": 3,
    "gates": {"warm_up_s": 1},
}


class Replies:
    """What the releases answer to requests that are sent again."""

    def __init__(self, line: Judged) -> None:
        self.line = line
        self.failing: set[str] = set()
        self.outputs: dict[str, list[float]] = {}
        self.seen: dict[str, list[bytes]] = {}
        line.replicas.answers = self

    def __call__(self, endpoint: Endpoint, request: KeptRequest) -> Replayed:
        version = next(
            release.version
            for release in self.line._route().releases
            for replica in release.replicas
            if replica.endpoint == endpoint
        )
        self.seen.setdefault(version, []).append(request.body)
        body = json.dumps({"id": version, "outputs": self.outputs.get(version, [1.0])}).encode()
        return Replayed(status=500 if version in self.failing else 200, latency_s=0.01, body=body)


def begin(line: Judged, **rollout: Any) -> Replies:
    """Keep many requests of the old release, and roll out the new one with next to no traffic."""
    replies = Replies(line)
    line.records = True
    line.deploy(b"one", recording=RECORDING)
    line.run()
    line.flow(60)
    line.deploy(b"two", recording=RECORDING, rollout=ROLLOUT | rollout)
    return replies


def kinds(line: Judged) -> list[str]:
    return [event.kind for event in line.control.recent_events("digits", count=500)]


def slowly_until(line: Judged, kind: str) -> None:
    for _ in range(400):
        line.flow(1, per_s=2)
        if kind in kinds(line):
            return
    raise AssertionError(kinds(line))


def test_kept_requests_bring_a_good_release_to_its_verdict(judged: Judged) -> None:
    replies = begin(judged)
    slowly_until(judged, "rollout:ended")
    assert judged.weights() == {"v2": 100.0}
    # Each was sent once, to both, in the same order; and none of them is in anybody's traffic.
    assert replies.seen["v1"] == replies.seen["v2"]
    assert max(Counter(replies.seen["v1"]).values()) == 1
    assert len(replies.seen["v2"]) >= 50
    reasons = [event.reason for event in judged.control.recent_events("digits", count=500)]
    assert any("kept requests are replayed" in reason for reason in reasons)


def test_replayed_requests_are_nobodys_traffic(judged: Judged) -> None:
    replies = begin(judged)
    asked = len(judged.asked)
    counted = sum(release.requests for release in judged.gateway.read().releases)
    judged.flow(90, per_s=2)
    assert len(replies.seen["v2"]) > 100
    since = sum(release.requests for release in judged.gateway.read().releases) - counted
    assert since == len(judged.asked) - asked
    assert any("replayed" in line for line in judged.control.why("digits").next)


def test_a_release_that_fails_replayed_requests_is_rolled_back(judged: Judged) -> None:
    replies = begin(judged)
    judged.flow(30, per_s=2)
    replies.failing = {"v2"}
    slowly_until(judged, "rollout:rolled_back")
    assert judged.weights() == {"v1": 100.0}


def test_other_answers_to_replayed_requests_fail_the_agreement(judged: Judged) -> None:
    gates = {"warm_up_s": 1, "agreement": {"compare": "numeric"}}
    replies = begin(judged, gates=gates)
    replies.outputs = {"v2": [2.0]}
    slowly_until(judged, "rollout:rolled_back")
    found = judged.control.recent_events("digits", count=500)
    event = next(event for event in found if event.kind == "rollout:rolled_back")
    assert "agreement" in event.reason


def test_a_restart_replays_nothing_twice_but_the_newest_seconds(judged: Judged) -> None:
    replies = begin(judged)
    judged.flow(70, per_s=2)
    before = len(replies.seen["v2"])
    judged.restart()
    judged.flow(20, per_s=2)
    assert len(replies.seen["v2"]) > before
    assert len(replies.seen["v2"]) - len(set(replies.seen["v2"])) <= 200


def test_bodies_of_a_deleted_backend_are_gone_within_two_minutes(judged: Judged) -> None:
    begin(judged)
    now = judged.clock.now()
    assert judged.answers.kept_count("digits", 0, now) == RECORDING["requests"]
    judged.control.delete("digits", ASKER)
    for _ in range(240):
        judged.run(0.5)
        judged.listener.tick()
    assert judged.answers.kept_count("digits", 0, judged.clock.now()) == 0


def test_nothing_is_kept_of_a_release_that_does_not_ask_for_it(judged: Judged) -> None:
    judged.records = True
    judged.deploy(b"one")
    judged.run()
    judged.flow(10)
    assert judged.answers.kept_count("digits", 0, judged.clock.now()) == 0


def test_replaying_needs_a_recording(judged: Judged) -> None:
    with pytest.raises(Unsupported, match="add a recording section"):
        judged.deploy(b"one", rollout=ROLLOUT)


def test_a_bad_release_is_rolled_back_though_kept_requests_cannot_be_read(judged: Judged) -> None:
    begin(judged)
    judged.flow(5, per_s=2)
    judged.answers.failing = "everything"
    judged.flow(5, per_s=2)
    judged.errors = {"v2": 1.0}
    judged.flow(60)
    assert "rollout:rolled_back" in kinds(judged)
    assert judged.weights() == {"v1": 100.0}


def test_requests_kept_after_all_others_expired_are_replayed(judged: Judged) -> None:
    brief = {"requests": 200, "keep_s": 60}
    replies = Replies(judged)
    judged.records = True
    judged.deploy(b"one", recording=brief)
    judged.run()
    judged.flow(60)
    judged.deploy(
        b"two", recording=brief, rollout=ROLLOUT | {"step_requests": 100_000, "waits_max": 50}
    )
    judged.flow(90, per_s=2)
    # Nobody comes until all that was kept is gone.
    judged.flow(150, per_s=0)
    assert judged.answers.kept_count("digits", 0, judged.clock.now()) == 0
    before = len(replies.seen["v2"])
    judged.flow(20, per_s=2)
    assert len(replies.seen["v2"]) > before
