"""Listening: replicas are asked what they answered, the busy ones and those in rollouts more often."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from prometheus_ai.analysis import agree
from prometheus_ai.control.answers.bins import Bins
from prometheus_ai.control.answers.keeping import forget_requests, keep_requests
from prometheus_ai.control.answers.remembering import attempt, write
from prometheus_ai.control.answers.told import (
    add,
    add_labels,
    add_pairs,
    attend,
    difference,
    lose,
)
from prometheus_ai.control.plane import Hearing, Plane
from prometheus_ai.control.rollout_memory import Held, active
from prometheus_ai.domain.answers import Answer, Matched, ReplicaReading
from prometheus_ai.domain.errors import PlatformError
from prometheus_ai.domain.evidence import Arm, Moments, ReplicaTally
from prometheus_ai.domain.policy import AgreementGate
from prometheus_ai.domain.route import BackendRoute, RoutedReplica
from prometheus_ai.domain.spec import Spec

READS_AT_ONCE = 20
"""Replicas asked in one pass: a bound on what listening costs, however many backends there are."""
JUDGED_EVERY_S = 1.0
IDLE_EVERY_S = 5.0
SILENT_EVERY_S = 30.0
ANSWERS_AT_ONCE = 400
"""A busy replica is asked again when about so many answers wait in it, and at higher rates a share is kept."""
FORGET_EVERY_S = 3600.0
DROP_EVERY_S = 60.0
"""Requests that were kept long enough, or of deleted backends, are gone this soon."""
PAIRS_MAX = 4096
"""Answers of one backend that wait for their shadow."""


@dataclass(kw_only=True)
class _Ear:
    """What is remembered of one replica."""

    backend: str
    reading: ReplicaReading
    at: float
    due: float
    rate_per_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Rollout:
    """What listening needs to know of a rollout under way."""

    candidate: str
    stable: str | None
    mirrors: bool
    gate: AgreementGate
    specs: Mapping[str, Spec]

    @property
    def in_full(self) -> bool:
        return self.mirrors and self.gate.compare != "label"


@dataclass(kw_only=True)
class Listener:
    """Reads replicas and files what they tell. Owned by one loop; what it remembers may be lost."""

    plane: Plane
    ears: dict[str, _Ear] = field(default_factory=dict)
    pairs: dict[str, OrderedDict[str, Answer | None]] = field(default_factory=dict)
    """By backend and request id: the first of two answers; None once both came."""
    bins: Bins = field(default_factory=Bins)
    kept: timedelta = timedelta(days=30)
    """How long answers, feedback and counts are kept, where their bounds let them."""
    forgot_at: float = 0.0
    dropped_at: float = 0.0

    def tick(self) -> None:
        """Read the replicas whose time has come."""
        hearing = self.plane.hearing
        if hearing is None:
            return
        with self.plane.lock:
            routes = dict(self.plane.routing.routes)
            rollouts = {
                name: found for name in routes if (found := self._rollout(name)) is not None
            }
        attend(hearing, frozenset(rollouts))
        self._forget(routes, rollouts)
        clock = self.plane.clock.monotonic()
        waiting = sorted(
            (due, name not in rollouts, name, version, replica.id, replica)
            for name, version, replica in _replicas(routes.values())
            if (due := self._due(name, replica.id, rollouts)) <= clock
        )
        # Replicas in rollouts come first; the others take turns.
        waiting.sort(key=lambda found: (found[1], found[0]))
        for _, _, name, version, _, replica in waiting[:READS_AT_ONCE]:
            self._read(hearing, name, version, replica, rollouts.get(name))
        if clock - self.dropped_at > DROP_EVERY_S:
            self.dropped_at = clock
            forget_requests(self.plane, hearing)
        if clock - self.forgot_at > FORGET_EVERY_S:
            self.forgot_at = clock
            before = self.plane.clock.now() - self.kept
            attempt(hearing, "forgetting", lambda: hearing.log.forget(before), 0)

    def _due(self, name: str, replica_id: str, rollouts: Mapping[str, _Rollout]) -> float:
        ear = self.ears.get(replica_id)
        if ear is None:
            return 0.0
        return min(ear.due, ear.at + JUDGED_EVERY_S) if name in rollouts else ear.due

    def _rollout(self, name: str) -> _Rollout | None:
        held = active(self.plane, name)
        if held is None:
            return None
        with self.plane.store.read() as reading:
            releases = [
                release
                for version in _versions(held)
                if (release := reading.release(name, version)) is not None
            ]
        specs = {release.version: release.spec for release in releases}
        policy = specs[held.state.candidate].rollout if held.state.candidate in specs else None
        gate = policy.gates.agreement if policy is not None else None
        return _Rollout(
            candidate=held.state.candidate,
            stable=held.state.stable,
            mirrors=held.state.mirror > 0,
            gate=gate or AgreementGate(),
            specs=specs,
        )

    def _read(
        self,
        hearing: Hearing,
        name: str,
        version: str,
        replica: RoutedReplica,
        rollout: _Rollout | None,
    ) -> None:
        clock = self.plane.clock.monotonic()
        ear = self.ears.get(replica.id)
        position = ear.reading.position if ear is not None else 0
        try:
            reading = hearing.replicas.read(
                replica.endpoint,
                position,
                in_full=rollout is not None and rollout.in_full,
                share=self._share(name),
            )
        except PlatformError:
            # Health is the driver's to judge; here a silent replica only tells nothing.
            silent = ear.reading if ear is not None else ReplicaReading(epoch="", position=0)
            due = clock + (JUDGED_EVERY_S if rollout is not None else SILENT_EVERY_S)
            self.ears[replica.id] = _Ear(backend=name, reading=silent, at=clock, due=due)
            return
        # The first reading of a replica may repeat what a former control plane has read.
        known = ear is not None and ear.reading.epoch == reading.epoch
        before = ear.reading if ear is not None and known else None
        self._file(hearing, name, version, reading, rollout, is_first=before is None)
        if before is not None:
            self._tell(hearing, name, version, replica.id, (before, reading), rollout)
        span_s = max(1e-3, clock - ear.at) if ear is not None else 1.0
        done = reading.requests - (before.requests if before is not None else reading.requests)
        rate = done / span_s
        due_s = min(IDLE_EVERY_S, max(JUDGED_EVERY_S, ANSWERS_AT_ONCE / max(rate, 1e-9)))
        self.ears[replica.id] = _Ear(
            backend=name,
            reading=replace(reading, answers=(), feedback=()),
            at=clock,
            due=clock + due_s,
            rate_per_s=rate,
        )

    def _file(
        self,
        hearing: Hearing,
        name: str,
        version: str,
        reading: ReplicaReading,
        rollout: _Rollout | None,
        *,
        is_first: bool,
    ) -> None:
        now = self.plane.clock.now()
        mine = [answer for answer in reading.answers if answer.version == version]
        if mine:
            matched = write(
                hearing, name, len(mine), lambda: hearing.log.add(name, mine, now), Matched()
            )
            add_labels(hearing, name, matched.settled)
        if reading.kept:
            keep_requests(self.plane, hearing, name, version, reading.kept)
        if reading.feedback:
            said = reading.feedback
            matched = write(
                hearing, name, len(said), lambda: hearing.log.judge(name, said, now), Matched()
            )
            add_labels(hearing, name, matched.settled)
            lose(hearing, name, "feedback came too early and too much of it waits", matched.refused)
        if is_first:
            return
        outputs = self.bins.count(self.plane, hearing, name, version, mine)
        counted = outputs[False]
        seen = Counter(counted)
        if seen:
            write(hearing, name, 0, lambda: hearing.log.count(name, version, counted, now), None)
        if rollout is not None:
            seen.update(outputs[True])
            add(hearing, name, version, Arm(outputs=tuple(sorted(seen.items()))))
            if rollout.mirrors:
                self._pair(hearing, name, mine, rollout)

    def _tell(
        self,
        hearing: Hearing,
        name: str,
        version: str,
        replica_id: str,
        span: tuple[ReplicaReading, ReplicaReading],
        rollout: _Rollout | None,
    ) -> None:
        before, now = span
        lose(hearing, name, "the replica had no room for them", now.dropped - before.dropped)
        lose(hearing, name, "outside the share that is kept", now.left_out - before.left_out)
        lose(hearing, name, "requests that could not be kept", now.unkept - before.unkept)
        if rollout is None:
            return
        quantities = difference(now.quantities, before.quantities)
        requests = now.requests - before.requests
        compute = quantities.get("compute_s")
        if compute is not None and requests > 0 and version in rollout.specs:
            size = rollout.specs[version].resources
            cost = hearing.prices.of(size, compute.total) / requests * 1000
            quantities["cost_per_1k"] = Moments(count=1, total=cost, squares=cost**2)
        host = rollout.specs[version].target if version in rollout.specs else ""
        tally = ReplicaTally(
            id=replica_id, host=host, requests=requests, errors=now.errors - before.errors
        )
        add(
            hearing,
            name,
            version,
            Arm(replicas=(tally,), quantities=tuple(sorted(quantities.items()))),
        )

    def _pair(
        self, hearing: Hearing, name: str, answers: Iterable[Answer], rollout: _Rollout
    ) -> None:
        """Compare answers to the same request, once both are here.

        An id that comes again names several requests: nothing is compared under it.
        """
        waiting = self.pairs.setdefault(name, OrderedDict())
        compared = disagreed = 0
        for answer in answers:
            if answer.request_id not in waiting:
                waiting[answer.request_id] = answer
                continue
            other, waiting[answer.request_id] = waiting[answer.request_id], None
            if other is None or answer.is_shadow == other.is_shadow:
                lose(hearing, name, "their request id was used more than once", 1)
                continue
            user, shadow = (other, answer) if answer.is_shadow else (answer, other)
            same = _is_same(user, shadow, rollout.gate)
            if same is None:
                lose(hearing, name, "too long to be compared, or no JSON", 1)
                continue
            compared += 1
            disagreed += not same
        while len(waiting) > PAIRS_MAX:
            _, alone = waiting.popitem(last=False)
            if alone is not None and alone.is_shadow:
                lose(hearing, name, "no answer to compare with came in time", 1)
        if compared:
            add_pairs(hearing, name, compared, disagreed)

    def _share(self, name: str) -> float:
        """Return what all replicas of a backend keep, so that shadows and their originals stay together."""
        rates = [ear.rate_per_s for ear in self.ears.values() if ear.backend == name]
        return min(1.0, ANSWERS_AT_ONCE / max(1.0, 1.0, *rates))

    def _forget(self, routes: Mapping[str, BackendRoute], rollouts: Mapping[str, _Rollout]) -> None:
        living = {replica.id for _, _, replica in _replicas(routes.values())}
        for gone in self.ears.keys() - living:
            del self.ears[gone]
        for gone in self.pairs.keys() - rollouts.keys():
            del self.pairs[gone]


def _is_same(user: Answer, shadow: Answer, gate: AgreementGate) -> bool | None:
    if gate.compare == "label":
        if user.labels is None or shadow.labels is None:
            return None
        return agree(list(user.labels), list(shadow.labels), "exact")
    if user.outputs is None or shadow.outputs is None:
        return None
    return agree(user.outputs, shadow.outputs, gate.compare, gate.tolerance)


def _replicas(routes: Iterable[BackendRoute]) -> list[tuple[str, str, RoutedReplica]]:
    return [
        (route.backend, release.version, replica)
        for route in routes
        for release in route.releases
        for replica in release.replicas
    ]


def _versions(held: Held) -> tuple[str, ...]:
    return tuple(v for v in (held.state.candidate, held.state.stable) if v is not None)
