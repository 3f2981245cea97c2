"""State in memory, with the promises of the durable store except durability."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import reduce
from itertools import groupby
from typing import Any

from prometheus_ai.domain.decision import DecisionRecord
from prometheus_ai.domain.errors import Conflict, NotFound, Unavailable
from prometheus_ai.domain.event import AuditRecord, Token, TreeHead
from prometheus_ai.domain.release import Backend, Release, ReleaseState
from prometheus_ai.domain.replica import ReplicaRecord
from prometheus_ai.domain.window import Window
from prometheus_ai.ports.state_store import Reading, Writing

WRITER_WAIT_S = 30.0

Key = tuple[str, str]
NodeId = tuple[int, int]


@dataclass
class _State:
    """One version of everything. A change works on a copy, which replaces the original at its end."""

    backends: dict[str, Backend] = field(default_factory=dict)
    releases: dict[Key, Release] = field(default_factory=dict)
    states: dict[Key, ReleaseState] = field(default_factory=dict)
    replicas: dict[str, ReplicaRecord] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)
    decisions: list[DecisionRecord] = field(default_factory=list)
    tokens: dict[str, Token] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    audit: list[AuditRecord] = field(default_factory=list)
    nodes: dict[NodeId, bytes] = field(default_factory=dict)
    head: TreeHead | None = None

    def copy(self) -> "_State":
        """Copy the containers; the values inside are frozen."""
        return _State(
            backends=dict(self.backends),
            releases=dict(self.releases),
            states=dict(self.states),
            replicas=dict(self.replicas),
            counters=dict(self.counters),
            windows=list(self.windows),
            decisions=list(self.decisions),
            tokens=dict(self.tokens),
            settings=dict(self.settings),
            audit=list(self.audit),
            nodes=dict(self.nodes),
            head=self.head,
        )


class _MemoryReading:
    def __init__(self, state: _State) -> None:
        self._state = state

    def backend(self, name: str) -> Backend | None:
        return self._state.backends.get(name)

    def backends(self) -> list[Backend]:
        return [self._state.backends[name] for name in sorted(self._state.backends)]

    def release(self, backend: str, version: str) -> Release | None:
        return self._state.releases.get((backend, version))

    def releases(self, backend: str | None = None) -> list[Release]:
        found = [r for r in self._state.releases.values() if backend in (None, r.backend)]
        return sorted(found, key=lambda release: (release.backend, release.number))

    def release_by_digest(self, backend: str, digest: str) -> Release | None:
        found = [release for release in self.releases(backend) if release.digest == digest]
        return found[-1] if found else None

    def release_states(self, backend: str | None = None) -> list[ReleaseState]:
        states = self._state.states
        return [states[key] for key in sorted(states) if backend in (None, key[0])]

    def replica(self, replica_id: str) -> ReplicaRecord | None:
        return self._state.replicas.get(replica_id)

    def open_replicas(self, backend: str | None = None) -> list[ReplicaRecord]:
        found = [
            record
            for record in self._state.replicas.values()
            if record.is_open and backend in (None, record.backend)
        ]
        return sorted(found, key=lambda record: (record.created_at, record.id))

    def ended_replicas(self, since: datetime, backend: str | None = None) -> list[ReplicaRecord]:
        found = [
            (record.ended_at, record.id, record)
            for record in self._state.replicas.values()
            if record.ended_at is not None
            and record.ended_at >= since
            and backend in (None, record.backend)
        ]
        return [record for _, _, record in sorted(found, key=lambda item: item[:2])]

    def windows(
        self, since: datetime, backend: str | None = None, *, until: datetime | None = None
    ) -> list[Window]:
        found = [
            w
            for w in self._state.windows
            if w.end > since and backend in (None, w.backend) and (until is None or w.end <= until)
        ]
        return sorted(found, key=lambda w: (w.end, w.backend, w.version, w.start))

    def decision(self, backend: str, number: int) -> DecisionRecord | None:
        known = self._state.decisions
        return next((r for r in known if r.id == number and r.backend == backend), None)

    def decisions(self, backend: str, since: datetime, limit: int) -> list[DecisionRecord]:
        found = [r for r in self._state.decisions if r.backend == backend and r.at >= since]
        return found[-limit:] if limit > 0 else []

    def table_generation(self) -> int:
        return self._state.counters.get("table_generation", 0)

    def tokens(self) -> list[Token]:
        return sorted(self._state.tokens.values(), key=lambda token: (token.created_at, token.id))

    def token_by_hash(self, secret_hash: bytes) -> Token | None:
        for token in self._state.tokens.values():
            if token.secret_hash == secret_hash:
                return token
        return None

    def audit_head(self) -> TreeHead | None:
        return self._state.head

    def audit_records(
        self, start: int, limit: int, backend: str | None = None
    ) -> list[AuditRecord]:
        found = [r for r in self._state.audit[start:] if backend in (None, r.event["backend"])]
        return found[:limit]

    def latest_audit_records(self, limit: int, backend: str | None = None) -> list[AuditRecord]:
        found = [r for r in self._state.audit if backend in (None, r.event["backend"])]
        return found[-limit:] if limit > 0 else []

    def audit_nodes(self, ids: Sequence[NodeId]) -> Mapping[NodeId, bytes]:
        nodes = self._state.nodes
        return {node_id: nodes[node_id] for node_id in ids if node_id in nodes}

    def setting(self, name: str) -> str | None:
        return self._state.settings.get(name)


class _MemoryWriting(_MemoryReading):
    def put_backend(self, backend: Backend) -> Backend:
        stored = self._state.backends.get(backend.name)
        _check_revision(
            f"backend {backend.name}", stored.revision if stored else 0, backend.revision
        )
        written = replace(
            backend, created_at=_utc(backend.created_at), revision=backend.revision + 1
        )
        self._state.backends[backend.name] = written
        return written

    def delete_backend(self, name: str) -> None:
        if name not in self._state.backends:
            raise NotFound(f"backend {name} does not exist")
        if self.open_replicas(name):
            raise Conflict(f"backend {name} still has open replicas")
        del self._state.backends[name]
        for table in (self._state.releases, self._state.states):
            for key in [key for key in table if key[0] == name]:
                del table[key]
        self._state.replicas = {
            key: record for key, record in self._state.replicas.items() if record.backend != name
        }

    def add_release(self, release: Release) -> None:
        if release.backend not in self._state.backends:
            raise Conflict(f"backend {release.backend} does not exist")
        for known in self.releases(release.backend):
            if known.version == release.version or known.number == release.number:
                raise Conflict(f"release {known.id} (number {known.number}) exists already")
        self._state.releases[release.backend, release.version] = replace(
            release, created_at=_utc(release.created_at)
        )

    def put_release_state(self, state: ReleaseState) -> ReleaseState:
        key = (state.backend, state.version)
        self._require_release(*key)
        stored = self._state.states.get(key)
        _check_revision(
            f"release {state.backend}/{state.version}",
            stored.revision if stored else 0,
            state.revision,
        )
        written = replace(
            state,
            phase_since=_utc(state.phase_since),
            unrouted_since=_utc_or_none(state.unrouted_since),
            revision=state.revision + 1,
        )
        self._state.states[key] = written
        return written

    def next_replica_number(self, backend: str, version: str) -> int:
        return self._advance(f"replica:{backend}/{version}")

    def put_replica(self, record: ReplicaRecord) -> None:
        self._require_release(record.backend, record.version)
        self._state.replicas[record.id] = replace(
            record,
            created_at=_utc(record.created_at),
            ready_at=_utc_or_none(record.ready_at),
            ended_at=_utc_or_none(record.ended_at),
            drain_since=_utc_or_none(record.drain_since),
            exit=None if record.exit is None else replace(record.exit, at=_utc(record.exit.at)),
        )

    def forget_replicas(self, before: datetime) -> int:
        kept = {
            key: record
            for key, record in self._state.replicas.items()
            if record.ended_at is None or record.ended_at >= before
        }
        gone = len(self._state.replicas) - len(kept)
        self._state.replicas = kept
        return gone

    def add_windows(self, windows: Sequence[Window]) -> None:
        self._state.windows.extend(
            replace(w, start=_utc(w.start), end=_utc(w.end)) for w in windows
        )

    def compact_windows(self, before: datetime, span_s: int) -> int:
        limit = int(before.timestamp()) // span_s

        def group(window: Window) -> tuple[str, str, int]:
            return window.backend, window.version, int(window.start.timestamp()) // span_s

        def is_old(window: Window) -> bool:
            return group(window)[2] < limit and window.end <= before

        kept = [window for window in self._state.windows if not is_old(window)]
        for _, members in groupby(sorted(filter(is_old, self._state.windows), key=group), group):
            kept.append(reduce(Window.merge, members))
        gone = len(self._state.windows) - len(kept)
        self._state.windows = kept
        return gone

    def forget_windows(self, before: datetime) -> int:
        kept = [window for window in self._state.windows if window.end >= before]
        gone = len(self._state.windows) - len(kept)
        self._state.windows = kept
        return gone

    def add_decision(self, record: DecisionRecord, kept_max: int) -> int:
        number = self._advance("decision")
        self._state.decisions.append(replace(record, id=number, at=_utc(record.at)))
        of_same = [
            r.id
            for r in self._state.decisions
            if (r.backend, r.decider) == (record.backend, record.decider)
        ]
        gone = set(of_same[:-kept_max])
        self._state.decisions = [r for r in self._state.decisions if r.id not in gone]
        return number

    def forget_decisions(self, before: datetime) -> int:
        kept = [record for record in self._state.decisions if record.at >= before]
        gone = len(self._state.decisions) - len(kept)
        self._state.decisions = kept
        return gone

    def next_table_generation(self) -> int:
        return self._advance("table_generation")

    def put_token(self, token: Token) -> None:
        holder = self.token_by_hash(token.secret_hash)
        if holder is not None and holder.id != token.id:
            raise Conflict("another token has the same secret")
        self._state.tokens[token.id] = replace(
            token, created_at=_utc(token.created_at), revoked_at=_utc_or_none(token.revoked_at)
        )

    def append_audit(
        self, record: AuditRecord, nodes: Mapping[NodeId, bytes], head: TreeHead
    ) -> None:
        size = self._state.head.size if self._state.head else 0
        if record.index != size or head.size != size + 1:
            raise Conflict(f"audit record {record.index} is not the next one, {size}")
        self._state.audit.append(record)
        self._state.nodes.update(nodes)
        self._state.head = head

    def put_setting(self, name: str, value: str) -> None:
        self._state.settings[name] = value

    def _advance(self, counter: str) -> int:
        number = self._state.counters.get(counter, 0) + 1
        self._state.counters[counter] = number
        return number

    def _require_release(self, backend: str, version: str) -> None:
        if (backend, version) not in self._state.releases:
            raise Conflict(f"release {backend}/{version} does not exist")


class MemoryStore:
    """A StateStore for fast tests. Nothing outlives the object."""

    def __init__(self) -> None:
        self._state = _State()
        self._turn = threading.Lock()
        self._turn_of: int | None = None

    def read(self) -> AbstractContextManager[Reading]:
        """Open a consistent view: later changes do not show in it."""
        return self._read()

    def write(self) -> AbstractContextManager[Writing]:
        """Open a change, kept when the block ends and dropped when it raises."""
        return self._write()

    @contextmanager
    def _read(self) -> Iterator[Reading]:
        yield _MemoryReading(self._state)

    @contextmanager
    def _write(self) -> Iterator[Writing]:
        thread = threading.get_ident()
        if self._turn_of == thread:
            raise RuntimeError("a change is already open on this thread")
        if not self._turn.acquire(timeout=WRITER_WAIT_S):
            raise Unavailable(f"another change has been open for {WRITER_WAIT_S:g} s")
        self._turn_of = thread
        try:
            state = self._state.copy()
            yield _MemoryWriting(state)
            self._state = state
        finally:
            self._turn_of = None
            self._turn.release()

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def describe(self) -> Mapping[str, Any]:
        """Say what it is."""
        return {"kind": "memory", "audit_records": len(self._state.audit)}

    def iterate_audit(self, batch: int) -> Iterator[AuditRecord]:
        """Yield every audit record in order."""
        return iter(self._state.audit)


def _check_revision(what: str, stored: int, given: int) -> None:
    if stored != given:
        raise Conflict(
            f"{what} changed meanwhile: it is at revision {stored}, not {given}",
            hint="read it again and repeat the change",
        )


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone")
    return at.astimezone(UTC)


def _utc_or_none(at: datetime | None) -> datetime | None:
    return None if at is None else _utc(at)
