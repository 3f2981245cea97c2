"""The ledger of cold starts: what the starts of each release came to, kept across restarts."""

import json
from dataclasses import asdict
from datetime import datetime

from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.cold_start import KEPT_MAX, ColdStart, cold_start
from prometheus_ai.domain.replica import Observed, ReplicaRecord
from prometheus_ai.ports.state_store import Reading, Writing

_ITEMS = ("schedule_s", "environment_s", "load_s", "warm_up_s")


def starts_of(plane: Plane, reading: Reading, key: tuple[str, str]) -> tuple[ColdStart, ...]:
    """Return the remembered starts of a release, oldest first."""
    found = plane.starts.get(key)
    if found is None:
        found = plane.starts[key] = _parsed(reading.setting(_name(key)))
    return found


def remember_starts(
    plane: Plane, tx: Writing, key: tuple[str, str], fresh: tuple[ColdStart, ...]
) -> None:
    """Add starts to the ledger of a release."""
    kept = (*starts_of(plane, tx, key), *fresh)[-KEPT_MAX:]
    body = [asdict(start) | {"at": start.at.isoformat()} for start in kept]
    tx.put_setting(_name(key), json.dumps(body))
    plane.starts[key] = kept


def fresh_start(record: ReplicaRecord, seen: Observed | None) -> ColdStart | None:
    """Return the start of a replica that is ready, or None where not all of it is known."""
    if record.ready_at is None or seen is None or not seen.phases_s:
        return None
    times = (record.created_at, seen.started_at, record.ready_at)
    return cold_start(record.id, times, seen.phases_s)


def forget_starts(plane: Plane, tx: Writing, backend: str, versions: tuple[str, ...]) -> None:
    """Drop the ledgers of a backend that is gone: its name may mean another model next time."""
    for version in versions:
        plane.starts.pop((backend, version), None)
        if tx.setting(_name((backend, version))) is not None:
            tx.put_setting(_name((backend, version)), "[]")


def _name(key: tuple[str, str]) -> str:
    return f"cold-starts/{key[0]}/{key[1]}"


def _parsed(text: str | None) -> tuple[ColdStart, ...]:
    return tuple(
        ColdStart(
            replica=found["replica"],
            at=datetime.fromisoformat(found["at"]),
            **{item: float(found[item]) for item in _ITEMS},
        )
        for found in json.loads(text or "[]")
    )
