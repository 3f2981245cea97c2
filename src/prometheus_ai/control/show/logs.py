"""Logs: what replicas of a backend wrote."""

import queue
import threading
from collections.abc import Iterator
from datetime import timedelta

from prometheus_ai.control.plane import Plane
from prometheus_ai.control.show.status import existing
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.release import ReleasePhase
from prometheus_ai.domain.replica import ReplicaRecord
from prometheus_ai.ports.driver import LogLine

TAIL_MAX = 100_000
ENDED_SPAN = timedelta(days=1)
FOLLOWERS_MAX = 64
QUEUE_LINES_MAX = 10_000


def logs(
    plane: Plane, name: str, *, replica: str | None, tail: int, follow: bool
) -> Iterator[LogLine]:
    """Yield the last lines of each replica of a backend, or of one, then new ones while ``follow``.

    Raises:
        NotFound: the backend or replica does not exist.
    """
    records = _records(plane, name, replica)
    tail = min(max(tail, 0), TAIL_MAX)
    if not follow:
        return _merged(plane, records, tail)
    return _followed(plane, records[-FOLLOWERS_MAX:], tail)


def _records(plane: Plane, name: str, replica: str | None) -> list[ReplicaRecord]:
    with plane.store.read() as reading:
        existing(reading, name)
        living = reading.open_replicas(name)
        ended = reading.ended_replicas(plane.clock.now() - ENDED_SPAN, name)
        if replica is None:
            failed = {
                state.version
                for state in reading.release_states(name)
                if state.phase is ReleasePhase.FAILED
            }
            return [*_last_failures(failed, ended), *living] or ended[-1:]
        record = reading.replica(replica)
    if record is None or record.backend != name:
        known = ", ".join(record.id for record in [*living, *ended][-10:])
        raise NotFound(
            f"backend {name} has no replica {replica!r}", hint=f"known: {known or 'none'}"
        )
    return [record]


def _last_failures(versions: set[str], ended: list[ReplicaRecord]) -> list[ReplicaRecord]:
    """Return the last replica that ended by itself of each of these versions: its lines say why."""
    last = {
        record.version: record
        for record in ended
        if record.version in versions and record.exit is not None and record.exit.is_failure
    }
    return list(last.values())


def _merged(plane: Plane, records: list[ReplicaRecord], tail: int) -> Iterator[LogLine]:
    lines = [
        line
        for record in records
        for line in plane.driver(record.target).logs(record.id, tail, follow=False)
    ]
    lines.sort(key=lambda line: line.at)
    return iter(lines)


def _followed(plane: Plane, records: list[ReplicaRecord], tail: int) -> Iterator[LogLine]:
    """Follow several replicas at once; each has a thread that ends with the replica or the reader."""
    found: queue.Queue[LogLine | None] = queue.Queue(maxsize=QUEUE_LINES_MAX)
    stopping = threading.Event()

    def pump(record: ReplicaRecord) -> None:
        try:
            for line in plane.driver(record.target).logs(record.id, tail, follow=True):
                while not stopping.is_set():
                    try:
                        found.put(line, timeout=0.5)
                        break
                    except queue.Full:
                        continue
                if stopping.is_set():
                    return
        finally:
            if not stopping.is_set():
                found.put(None)

    for record in records:
        threading.Thread(target=pump, args=(record,), name=f"logs-{record.id}", daemon=True).start()
    running = len(records)
    try:
        while running:
            line = found.get()
            if line is None:
                running -= 1
            else:
                yield line
    finally:
        stopping.set()
