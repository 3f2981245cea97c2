"""An answer log in memory, and replicas that say what a test put there."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from prometheus_ai.domain.answers import (
    Answer,
    Feedback,
    Judged,
    KeptRequest,
    Matched,
    Replayed,
    ReplicaReading,
    grade,
)
from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.domain.replica import Endpoint


class FakeAnswerLog:
    """Keeps the promises of ``AnswerLog``, without bounds."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], dict[str, tuple[Answer, datetime]]] = {}
        self._feedback: dict[tuple[str, str], tuple[Feedback, datetime]] = {}
        self._judged: dict[tuple[str, str, datetime], list[int]] = defaultdict(lambda: [0, 0])
        self._outputs: dict[tuple[str, str, datetime], Counter[str]] = defaultdict(Counter)
        self._kept: dict[str, list[tuple[KeptRequest, datetime]]] = defaultdict(list)
        self._newest = 0
        self.failing: Literal["", "writing", "everything"] = ""
        """What fails, as on a full disk or with a file that cannot be opened."""

    def add(self, backend: str, answers: Sequence[Answer], now: datetime) -> Matched:
        """Keep answers; see ``AnswerLog``."""
        self._try_to_write()
        settled: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        numbers: Counter[str] = Counter()
        for answer in answers:
            key = (backend, answer.request_id)
            known = self._answers.setdefault(key, {})
            if answer.version in known:
                continue
            known[answer.version] = (replace(answer, outputs=None), now)
            said = self._feedback.get(key)
            if said is not None:
                self._settle(backend, said[0], answer, now, settled, numbers)
        return _matched(settled, numbers)

    def judge(self, backend: str, feedback: Sequence[Feedback], now: datetime) -> Matched:
        """Compare feedback with answers; see ``AnswerLog``."""
        self._try_to_write()
        settled: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        numbers: Counter[str] = Counter()
        for said in feedback:
            key = (backend, said.request_id)
            if key in self._feedback:
                numbers["repeated"] += 1
                continue
            self._feedback[key] = (said, now)
            about = self._answers.get(key, {})
            numbers["waiting"] += not about
            for answer, _ in about.values():
                self._settle(backend, said, answer, now, settled, numbers)
        return _matched(settled, numbers)

    def accuracy(self, backend: str, since: datetime | None = None) -> tuple[Judged, ...]:
        """Return labelled and wrong answers; see ``AnswerLog``."""
        self._try_to_read()
        found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for (name, version, hour), (labelled, wrong) in self._judged.items():
            if name == backend and (since is None or hour >= _hour(since)):
                found[version][0] += labelled
                found[version][1] += wrong
        return _matched(found, Counter()).settled

    def count(self, backend: str, version: str, outputs: Mapping[str, int], now: datetime) -> None:
        """Count answers by label."""
        self._try_to_write()
        self._outputs[backend, version, _hour(now)].update(outputs)

    def outputs(
        self, backend: str, version: str, since: datetime, until: datetime
    ) -> Mapping[datetime, Mapping[str, int]]:
        """Return counts by hour; see ``AnswerLog``."""
        self._try_to_read()
        return {
            hour: dict(counts)
            for (name, of, hour), counts in self._outputs.items()
            if (name, of) == (backend, version) and _hour(since) <= hour < until
        }

    def scores(self, backend: str, version: str, limit: int) -> tuple[float, ...]:
        """Return the newest numeric labels; see ``AnswerLog``."""
        self._try_to_read()
        values = [
            value
            for (name, _), found in reversed(self._answers.items())
            if name == backend and version in found
            for value in found[version][0].labels or ()
        ]
        return tuple(
            float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)
        )[:limit]

    def keep(
        self,
        backend: str,
        requests: Sequence[KeptRequest],
        now: datetime,
        *,
        kept_max: int,
        kept_for: timedelta,
    ) -> None:
        """Keep requests; see ``AnswerLog``."""
        self._try_to_write()
        kept = self._kept[backend]
        for request in requests:
            self._newest += 1
            kept.append((replace(request, number=self._newest), now + kept_for))
        del kept[:-kept_max]

    def kept(self, backend: str, after: int, limit: int, now: datetime) -> tuple[KeptRequest, ...]:
        """Return kept requests; see ``AnswerLog``."""
        self._try_to_read()
        found = (r for r, until in self._kept[backend] if r.number > after and until > now)
        return tuple(found)[:limit]

    def kept_count(self, backend: str, after: int, now: datetime) -> int:
        """Count kept requests; see ``AnswerLog``."""
        return len(self.kept(backend, after, 1_000_000, now))

    def drop_kept(self, now: datetime, of: Collection[str]) -> int:
        """Remove kept requests; see ``AnswerLog``."""
        self._try_to_write()
        gone = 0
        for backend, kept in self._kept.items():
            stays = [pair for pair in kept if backend in of and pair[1] > now]
            gone += len(kept) - len(stays)
            kept[:] = stays
        return gone

    def forget(self, before: datetime) -> int:
        """Remove all that is older; see ``AnswerLog``."""
        self._try_to_write()
        old = [
            (key, version)
            for key, found in self._answers.items()
            for version, (_, at) in found.items()
            if at < before
        ]
        said = [key for key, (_, at) in self._feedback.items() if at < before]
        hours = [key for key in self._outputs if key[2] < _hour(before)]
        judged = [key for key in self._judged if key[2] < _hour(before)]
        for key, version in old:
            del self._answers[key][version]
        for pair in said:
            del self._feedback[pair]
        for place in hours:
            del self._outputs[place]
        for place in judged:
            del self._judged[place]
        return len(old) + len(said) + len(hours) + len(judged)

    def close(self) -> None:
        """Do nothing."""

    def _try_to_write(self) -> None:
        if self.failing:
            raise Unavailable("no space", hint="make room")

    def _try_to_read(self) -> None:
        if self.failing == "everything":
            raise Unavailable("no file", hint="make room")

    def _settle(
        self,
        backend: str,
        said: Feedback,
        answer: Answer,
        now: datetime,
        settled: dict[str, list[int]],
        numbers: Counter[str],
    ) -> None:
        graded = grade(answer, said)
        if graded is None:
            numbers["unusable"] += not (answer.is_shadow and said.score is not None)
            return
        for place in (settled[answer.version], self._judged[backend, answer.version, _hour(now)]):
            place[0] += graded[0]
            place[1] += graded[1]


class FakeReplicas:
    """Keeps the promises of ``ReplicaReader``: each endpoint says what was put there."""

    def __init__(self) -> None:
        self.readings: dict[Endpoint, ReplicaReading] = {}
        self.silent: set[Endpoint] = set()
        self.asked: list[tuple[Endpoint, int, bool]] = []
        self.replayed: list[tuple[Endpoint, KeptRequest]] = []
        self.answers: Callable[[Endpoint, KeptRequest], Replayed] = lambda _, __: Replayed(
            status=200, latency_s=0.01, body=b'{"outputs": []}'
        )
        """What an endpoint answers to a request that is sent again."""

    def read(
        self, endpoint: Endpoint, after: int, *, in_full: bool, share: float
    ) -> ReplicaReading:
        """Return what was put there, and forget its answers and feedback."""
        assert 0 <= share <= 1
        self.asked.append((endpoint, after, in_full))
        if endpoint in self.silent:
            raise Unavailable(f"{endpoint.host}:{endpoint.port} does not answer")
        found = self.readings.get(endpoint, ReplicaReading(epoch="fake", position=0))
        self.readings[endpoint] = replace(found, answers=(), feedback=(), kept=())
        return found

    def ask(self, endpoint: Endpoint, request: KeptRequest, timeout_s: float) -> Replayed:
        """Return what the test says; see ``ReplicaReader``."""
        assert timeout_s > 0
        self.replayed.append((endpoint, request))
        return self.answers(endpoint, request)

    def put(self, endpoint: Endpoint, reading: ReplicaReading) -> None:
        """Add to what an endpoint says; counters in the reading are totals."""
        before = self.readings.get(endpoint)
        if before is not None:
            reading = replace(
                reading,
                answers=(*before.answers, *reading.answers),
                feedback=(*before.feedback, *reading.feedback),
                kept=(*before.kept, *reading.kept),
            )
        self.readings[endpoint] = reading

    def close(self) -> None:
        """Do nothing."""


def _matched(settled: Mapping[str, list[int]], numbers: Counter[str]) -> Matched:
    found = tuple(
        Judged(version=version, labelled=labelled, wrong=wrong)
        for version, (labelled, wrong) in sorted(settled.items())
    )
    return Matched(settled=found, **{name: count for name, count in numbers.items() if count})


def _hour(at: datetime) -> datetime:
    return at - timedelta(minutes=at.minute, seconds=at.second, microseconds=at.microsecond)
