"""Targets: added, listed and removed by command, kept in the store."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.domain.errors import Conflict, InvalidInput, NotFound, PlatformError, Refused
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.release import ReleasePhase
from prometheus_ai.domain.spec import BACKEND_NAME
from prometheus_ai.domain.target import LOCAL, TargetRecord
from prometheus_ai.ports.driver import Capabilities
from prometheus_ai.ports.state_store import Reading

SETTING = "targets"
TARGETS_MAX = 200
_RESTING = frozenset({ReleasePhase.RETIRED, ReleasePhase.FAILED})


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetView:
    """A target as people see it."""

    name: str
    url: str
    """Empty for the machine that the control plane runs on."""
    state: str
    """``ok``, or why it cannot be used now."""
    cpus: float
    memory_bytes: int
    gpus: int
    replicas: int
    notes: tuple[str, ...]


def add_target(plane: Plane, record: TargetRecord, asker: Asker) -> TargetView:
    """Add a target that can be reached.

    Raises:
        InvalidInput: the name or the address is none.
        Conflict: there is a target of that name.
        Unavailable: nothing answers there.
    """
    if not re.match(BACKEND_NAME, record.name):
        raise InvalidInput(f"{record.name!r} is no name: lower case, digits and hyphens")
    with plane.store.read() as reading:
        known = read_targets(reading)
    _check_free(plane, record, known)
    opened = plane.opener.open(record)
    try:
        # An engine that does not answer now was most likely mistyped.
        opened.builder.check()
        with plane.lock, plane.store.write() as tx:
            known = read_targets(tx)
            _check_free(plane, record, known)
            tx.put_setting(SETTING, _text((*known, record)))
            change = Change(
                actor=asker.actor, reason=asker.reason or "target add", after=_values(record)
            )
            note(plane, tx, Kind.TARGET_ADDED, change)
            plane.drivers = {**plane.drivers, record.name: opened.driver}
            plane.builders = {**plane.builders, record.name: opened.builder}
    except PlatformError:
        opened.driver.close()
        raise
    return _view(plane, record.name, record.url)


def remove_target(plane: Plane, name: str, asker: Asker) -> None:
    """Forget a target that nothing runs on.

    Raises:
        NotFound: there is no such target.
        Refused: it is the local one.
        Conflict: releases run on it, or want to.
    """
    if name == LOCAL:
        raise Refused("the local target is part of the platform and cannot be removed")
    with plane.lock, plane.store.write() as tx:
        known = read_targets(tx)
        gone = next((record for record in known if record.name == name), None)
        if gone is None:
            raise NotFound(f"there is no target {name!r}", hint="`pai target list` shows them")
        used = _used_by(tx, name)
        if used:
            raise Conflict(
                f"target {name} is used by {', '.join(used[:5])}",
                hint="delete these backends, or deploy them to another target first",
            )
        tx.put_setting(SETTING, _text(tuple(record for record in known if record.name != name)))
        change = Change(
            actor=asker.actor, reason=asker.reason or "target remove", before=_values(gone)
        )
        note(plane, tx, Kind.TARGET_REMOVED, change)
        driver = plane.drivers[name]
        plane.drivers = {held: driver for held, driver in plane.drivers.items() if held != name}
        plane.builders = {held: made for held, made in plane.builders.items() if held != name}
    driver.close()


def list_targets(plane: Plane) -> tuple[TargetView, ...]:
    """Describe every target, the local one first."""
    with plane.store.read() as reading:
        urls = {record.name: record.url for record in read_targets(reading)}
    return tuple(_view(plane, name, urls.get(name, "")) for name in plane.drivers)


def open_targets(plane: Plane) -> None:
    """Open every target that was added, as a control plane begins."""
    with plane.store.read() as reading:
        known = read_targets(reading)
    # Side by side: each one that cannot be reached holds up its first look for seconds.
    for record, opened in zip(known, plane.workers.map(plane.opener.open, known), strict=True):
        plane.drivers = {**plane.drivers, record.name: opened.driver}
        plane.builders = {**plane.builders, record.name: opened.builder}


def close_targets(plane: Plane) -> None:
    """Close every target that was added; its replicas go on."""
    for name, driver in plane.drivers.items():
        if name != LOCAL:
            driver.close()


def read_targets(reading: Reading) -> tuple[TargetRecord, ...]:
    """Return the targets that were added."""
    stored = json.loads(reading.setting(SETTING) or "[]")
    return tuple(
        TargetRecord(**{**values, "added_at": datetime.fromisoformat(values["added_at"])})
        for values in stored
    )


def _check_free(plane: Plane, record: TargetRecord, known: tuple[TargetRecord, ...]) -> None:
    if record.name in plane.drivers:
        raise Conflict(
            f"there is a target {record.name!r} already", hint="`pai target list` shows them"
        )
    if len(known) >= TARGETS_MAX:
        raise Refused(f"there are already {TARGETS_MAX} targets")


def _used_by(reading: Reading, name: str) -> list[str]:
    resting = {
        (state.backend, state.version)
        for state in reading.release_states()
        if state.phase in _RESTING
    }
    running = {
        f"{record.backend}/{record.version}"
        for record in reading.open_replicas()
        if record.target == name
    }
    wanting = {
        release.id
        for release in reading.releases()
        if release.spec.target == name and (release.backend, release.version) not in resting
    }
    return sorted(running | wanting)


def _view(plane: Plane, name: str, url: str) -> TargetView:
    driver = plane.drivers[name]
    has, state, replicas = Capabilities(), "ok", 0
    try:
        has = driver.capabilities()
        replicas = sum(1 for seen in driver.observe() if seen.exit is None)
    except PlatformError as error:
        state = error.message
    return TargetView(
        name=name,
        url=url,
        state=state,
        cpus=has.cpus_total,
        memory_bytes=has.memory_bytes_total,
        gpus=has.gpus,
        replicas=replicas,
        notes=has.notes,
    )


def _text(records: tuple[TargetRecord, ...]) -> str:
    return json.dumps([_values(record) for record in records])


def _values(record: TargetRecord) -> Mapping[str, Any]:
    return {**asdict(record), "added_at": record.added_at.isoformat()}
