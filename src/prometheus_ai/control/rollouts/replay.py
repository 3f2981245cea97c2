"""Too little traffic: requests that were kept are sent again, to both releases side by side.

They go to the replicas themselves, marked as copies. So no user gets an answer of theirs, the gateway
counts none, and autoscaling, baselines and histories never see them.
Both releases get each of them, one after the other and in turns first: what a release is compared with is
always concurrent. Each is sent once in a rollout, since the same request again is no new evidence.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from prometheus_ai.analysis import agree
from prometheus_ai.control.answers.remembering import attempt
from prometheus_ai.control.plane import Hearing, Plane, ReplayedPairs
from prometheus_ai.control.rollout_memory import Held, active
from prometheus_ai.domain.answers import Replayed
from prometheus_ai.domain.evidence import Arm, Interval, Outcome
from prometheus_ai.domain.policy import AgreementGate, RolloutSpec
from prometheus_ai.domain.release import Release
from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.window import Histogram, bucket_index

PAIRS_AT_ONCE = 10
"""Kept requests for each rollout and look: about 20 a second, one at a time, so that users keep their room."""
_TOO_MANY = 429


@dataclass(kw_only=True)
class Replayer:
    """Sends kept requests again. Owned by one loop, so that no decision waits for an answer."""

    plane: Plane

    def tick(self) -> None:
        """Send a few to both releases of every rollout that lacks traffic."""
        hearing = self.plane.hearing
        if hearing is None:
            return
        for name in tuple(self.plane.rollouts):
            with self.plane.lock:
                held = active(self.plane, name)
                after = 0 if held is None else _place(hearing, name, held)
            if held is not None and _is_wanted(self.plane, name, held):
                self._replay(hearing, name, held, after)

    def _replay(self, hearing: Hearing, name: str, held: Held, after: int) -> None:
        candidate, stable = held.state.candidate, held.state.stable
        release = _release(self.plane, name, candidate)
        if release is None or stable is None:
            return
        policy = release.spec.rollout
        gate = (policy.gates.agreement if policy is not None else None) or AgreementGate()
        ours, theirs = (_endpoints(self.plane, name, version) for version in (candidate, stable))
        if not ours or not theirs:
            return
        now = self.plane.clock.now()
        kept = attempt(
            hearing, "reading", lambda: hearing.log.kept(name, after, PAIRS_AT_ONCE, now), ()
        )
        for request in kept:
            place = request.number
            chosen = {candidate: ours[place % len(ours)], stable: theirs[place % len(theirs)]}
            turns = (candidate, stable) if place % 2 else (stable, candidate)
            answers = {
                version: hearing.replicas.ask(
                    chosen[version], request, release.spec.timeouts.request_s
                )
                for version in turns
            }
            same = _is_same(answers[candidate], answers[stable], gate)
            _add(hearing, name, (candidate, request.number), answers, same)


def kept_left(plane: Plane, name: str, held: Held, policy: RolloutSpec) -> int:
    """Return how many kept requests this rollout has not replayed, where its policy is to replay."""
    hearing = plane.hearing
    if hearing is None or policy.low_traffic != "replay" or held.state.replays:
        return 0
    now = plane.clock.now()
    return attempt(
        hearing, "reading", lambda: hearing.log.kept_count(name, held.replayed_to, now), 0
    )


def replayed(plane: Plane, name: str, held: Held, now: datetime) -> tuple[Held, Interval | None]:
    """Take what was replayed since the last look, as an interval of its own.

    Of its own, because users' requests and replayed ones are timed differently: within one interval both
    releases have had the very same mixture, so that a difference is one between the releases.
    """
    if plane.hearing is None:
        return held, None
    with plane.hearing.lock:
        pairs = plane.hearing.replays.pop(name, None)
    if pairs is None or pairs.candidate != held.state.candidate:
        return held, None
    told = replace(held, replayed_to=pairs.last, replayed=held.replayed + pairs.sent)
    measured = Interval(
        start=now,
        end=now,
        candidate=pairs.arms.get(held.state.candidate, Arm()),
        baseline=pairs.arms.get(held.state.stable or "", Arm()),
        weight=0.5,
        compared=pairs.compared,
        disagreed=pairs.disagreed,
        is_replay=True,
    )
    return told, measured


def _place(hearing: Hearing, name: str, held: Held) -> int:
    """Return the number of the last kept request that this rollout has replayed."""
    with hearing.lock:
        known = hearing.replays.get(name)
    if known is None or known.candidate != held.state.candidate:
        return held.replayed_to
    return max(held.replayed_to, known.last)


def _is_wanted(plane: Plane, name: str, held: Held) -> bool:
    """Whether a rollout replays, and needs more than it has."""
    state, verdict = held.state, held.verdict
    if not state.replays or state.given_at is None or state.paused_since is not None:
        return False
    if verdict is None or verdict.comparison is None or verdict.outcome is not Outcome.PASS:
        return True
    release = _release(plane, name, state.candidate)
    policy = release.spec.rollout if release is not None else None
    return policy is not None and verdict.comparison.step_requests < policy.step_requests


def _release(plane: Plane, name: str, version: str) -> Release | None:
    with plane.store.read() as reading:
        return reading.release(name, version)


def _endpoints(plane: Plane, name: str, version: str) -> Sequence[Endpoint]:
    with plane.lock:
        route = plane.routing.routes.get(name)
    if route is None:
        return ()
    return [
        replica.endpoint
        for release in route.releases
        if release.version == version
        for replica in release.replicas
        if not replica.is_draining
    ]


def _add(
    hearing: Hearing,
    name: str,
    place: tuple[str, int],
    answers: dict[str, Replayed],
    same: bool | None,
) -> None:
    candidate, number = place
    with hearing.lock:
        pairs = hearing.replays.get(name)
        if pairs is None or pairs.candidate != candidate:
            pairs = hearing.replays[name] = ReplayedPairs(candidate=candidate)
        pairs.last = number
        pairs.sent += 1
        if any(answer.status == _TOO_MANY for answer in answers.values()):
            # A full queue is users' work: nobody is judged by a request that had no room.
            return
        for version, answer in answers.items():
            pairs.arms[version] = _counted(pairs.arms.get(version, Arm()), answer)
        if same is not None:
            pairs.compared += 1
            pairs.disagreed += not same


def _counted(arm: Arm, answer: Replayed) -> Arm:
    failed = answer.status == 0 or answer.status >= 500
    took = Histogram(
        count=1, sum=answer.latency_s, buckets={bucket_index(max(answer.latency_s, 1e-9)): 1}
    )
    return replace(
        arm,
        requests=arm.requests + 1,
        errors=arm.errors + failed,
        client_errors=arm.client_errors + (400 <= answer.status < 500),
        latency_s=arm.latency_s.merge(took),
    )


def _is_same(ours: Replayed, theirs: Replayed, gate: AgreementGate) -> bool | None:
    """Whether both answered the same; None where one gave no answer to compare."""
    if ours.status != 200 or theirs.status != 200:
        return None
    try:
        mine, others = (_outputs(json.loads(answer.body)) for answer in (ours, theirs))
    except ValueError:
        return ours.body == theirs.body
    return agree(others, mine, gate.compare, gate.tolerance)


def _outputs(document: Any) -> Any:
    """Return what may be compared: an answer without names and ids."""
    if isinstance(document, dict) and isinstance(document.get("outputs"), list):
        return document["outputs"]
    return document
