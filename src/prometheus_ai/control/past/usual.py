"""What is usual: measurements of the same hour in the weeks before."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_ai.analysis import Past
from prometheus_ai.control.answers.remembering import attempt
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.window import Histogram
from prometheus_ai.ports.state_store import Reading

HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)
WEEKS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Usual:
    """What a release is compared with."""

    past: Past
    version: str
    weeks: int
    """In how many of the last weeks this hour was measured."""

    @property
    def in_words(self) -> str:
        """What it is, for people."""
        return f"{self.version} at this hour of the week, {self.weeks} weeks back"


def last_hour(plane: Plane, backend: str, version: str, now: datetime) -> Past:
    """Return what a release did in the hour that ends now."""
    with plane.store.read() as reading:
        return _measured(plane, reading, (backend, version), (now - HOUR, now))


def usual(plane: Plane, backend: str, versions: tuple[str, ...], now: datetime) -> Usual | None:
    """Return what was usual at this hour of the week, of the first version that was measured then.

    Windows of five minutes end inside their hour, so the hour is the one that ends now, weeks ago.
    """
    for version in versions:
        total, weeks = Past(), 0
        with plane.store.read() as reading:
            for week in range(1, WEEKS + 1):
                end = now - week * WEEK
                found = _measured(plane, reading, (backend, version), (end - HOUR, end))
                if found.requests:
                    weeks += 1
                    total = _added(total, found)
        if weeks:
            return Usual(past=total, version=version, weeks=weeks)
    return None


def _measured(
    plane: Plane, reading: Reading, release: tuple[str, str], span: tuple[datetime, datetime]
) -> Past:
    backend, version = release
    past = Past()
    for window in reading.windows(span[0], backend, until=span[1]):
        if window.version == version:
            more = Past(requests=window.requests, errors=window.errors, latency_s=window.latency_s)
            past = _added(past, more)
    outputs: Counter[str] = Counter()
    hearing = plane.hearing
    if hearing is not None:
        found = attempt(
            hearing, "reading", lambda: hearing.log.outputs(backend, version, *span), {}
        )
        for counts in found.values():
            outputs.update(counts)
    return _added(past, Past(outputs=outputs))


def _added(one: Past, other: Past) -> Past:
    outputs = Counter(one.outputs)
    outputs.update(other.outputs)
    return Past(
        requests=one.requests + other.requests,
        errors=one.errors + other.errors,
        latency_s=_merged(one.latency_s, other.latency_s),
        outputs=outputs,
    )


def _merged(one: Histogram, other: Histogram) -> Histogram:
    return one.merge(other) if other.count else one
