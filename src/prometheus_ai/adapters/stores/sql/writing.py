"""Changes inside one transaction."""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, update

from prometheus_ai.adapters.stores.sql import rows
from prometheus_ai.adapters.stores.sql.reading import SqlReading
from prometheus_ai.adapters.stores.sql.tables import (
    audit_head,
    audit_nodes,
    audit_records,
    backends,
    counters,
    decisions,
    release_states,
    releases,
    replicas,
    settings,
    tokens,
    windows,
)
from prometheus_ai.domain.decision import DecisionRecord
from prometheus_ai.domain.errors import Conflict, NotFound
from prometheus_ai.domain.event import AuditRecord, Token, TreeHead
from prometheus_ai.domain.release import Backend, Release, ReleaseState
from prometheus_ai.domain.replica import ReplicaRecord
from prometheus_ai.domain.window import Window

AUDIT_BUFFER_MAX = 1_000
"""Audit records held before they are written; a bound on memory, not on durability."""

NODES_KEPT_MAX = 10_000
"""Subtree hashes read once in a change and kept: every append asks for the same few."""

_RELEASE_EXISTS = select(releases.c.number).where(
    releases.c.backend == bindparam("of_backend"), releases.c.version == bindparam("of_version")
)
_ADVANCE = (
    update(counters)
    .where(counters.c.name == bindparam("counter"))
    .values(value=counters.c.value + 1)
    .returning(counters.c.value)
)
_UPDATE_BACKEND = update(backends).where(
    backends.c.name == bindparam("key"), backends.c.revision == bindparam("read_revision")
)
_UPDATE_STATE = update(release_states).where(
    release_states.c.backend == bindparam("of_backend"),
    release_states.c.version == bindparam("of_version"),
    release_states.c.revision == bindparam("read_revision"),
)
_KEYED = (backends, release_states, replicas, counters, tokens, settings, audit_head)
_INSERT = {table: insert(table) for table in (*_KEYED, releases, windows)}
_UPDATE = {
    table: update(table).where(
        *(column == bindparam(f"of_{column.name}") for column in table.primary_key.columns)
    )
    for table in _KEYED
}
_KEY = {
    table: select(*table.primary_key.columns).where(
        *(column == bindparam(f"of_{column.name}") for column in table.primary_key.columns)
    )
    for table in _KEYED
}
_INSERT_RECORDS = insert(audit_records)
_INSERT_NODES = insert(audit_nodes)


class SqlWriting(SqlReading):
    """Reads and changes in one transaction."""

    def __init__(self, connection: Connection, path: Path, cache: dict[int, Release]) -> None:
        super().__init__(connection, path, cache)
        self._fills_cache = False  # what this change inserts may yet be rolled back
        self._records: list[AuditRecord] = []
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._loaded: dict[tuple[int, int], bytes] = {}
        self._head: TreeHead | None = None

    def finish(self) -> None:
        """Write what is buffered, and raise when any statement of this change failed."""
        self._flush_audit()
        if self._failure is not None:
            raise self._failure

    def put_backend(self, backend: Backend) -> Backend:
        """Insert (revision 0) or update; return it with the next revision."""
        revision = backend.revision + 1
        values = {**rows.backend_values(backend), "revision": revision}
        if backend.revision == 0:
            is_written = self._insert_new(backends, values)
        else:
            keys = {"key": backend.name, "read_revision": backend.revision}
            is_written = self.execute(_UPDATE_BACKEND, {**values, **keys}).rowcount == 1
        if not is_written:
            stored = self.backend(backend.name)
            raise _stale(f"backend {backend.name}", stored, backend.revision)
        return replace(backend, created_at=backend.created_at.astimezone(UTC), revision=revision)

    def delete_backend(self, name: str) -> None:
        """Remove a backend with its releases, states and closed replica records."""
        if self.backend(name) is None:
            raise NotFound(f"backend {name} does not exist")
        if self.open_replicas(name):
            raise Conflict(
                f"backend {name} still has open replicas", hint="stop its replicas first"
            )
        for table in (replicas, release_states, releases):
            self.execute(delete(table).where(table.c.backend == name))
        self.execute(delete(backends).where(backends.c.name == name))

    def add_release(self, release: Release) -> None:
        """Insert a release."""
        if self.backend(release.backend) is None:
            raise Conflict(f"backend {release.backend} does not exist")
        same = select(releases.c.version, releases.c.number).where(
            releases.c.backend == release.backend,
            (releases.c.version == release.version) | (releases.c.number == release.number),
        )
        known = self.execute(same).first()
        if known is not None:
            raise Conflict(
                f"release {release.backend}/{known.version} (number {known.number}) exists already"
            )
        self.execute(_INSERT[releases], rows.release_values(release))

    def put_release_state(self, state: ReleaseState) -> ReleaseState:
        """Insert (revision 0) or update; return it with the next revision."""
        self._require_release(state.backend, state.version)
        revision = state.revision + 1
        values = {**rows.release_state_values(state), "revision": revision}
        if state.revision == 0:
            is_written = self._insert_new(release_states, values)
        else:
            keys = {
                "of_backend": state.backend,
                "of_version": state.version,
                "read_revision": state.revision,
            }
            is_written = self.execute(_UPDATE_STATE, {**values, **keys}).rowcount == 1
        if not is_written:
            of_release = [
                known
                for known in self.release_states(state.backend)
                if known.version == state.version
            ]
            stored = of_release[0] if of_release else None
            raise _stale(f"release {state.backend}/{state.version}", stored, state.revision)
        since = state.unrouted_since
        return replace(
            state,
            phase_since=state.phase_since.astimezone(UTC),
            unrouted_since=None if since is None else since.astimezone(UTC),
            revision=revision,
        )

    def next_replica_number(self, backend: str, version: str) -> int:
        """Return 1, 2, 3 … for each release, counting on when a name is used again."""
        return self._advance(f"replica:{backend}/{version}")

    def put_replica(self, record: ReplicaRecord) -> None:
        """Insert or replace a replica record."""
        self._require_release(record.backend, record.version)
        self._put(replicas, rows.replica_values(record))

    def forget_replicas(self, before: datetime) -> int:
        """Remove records of replicas that ended before ``before``; return how many went."""
        old = delete(replicas).where(replicas.c.ended_at < rows.time_text(before))
        return self.execute(old).rowcount

    def add_windows(self, windows_: Sequence[Window]) -> None:
        """Add measurement windows."""
        if windows_:
            values = [{**rows.window_values(window), "span_s": 0} for window in windows_]
            self.execute(_INSERT[windows], values)

    def compact_windows(self, before: datetime, span_s: int) -> int:
        """Merge windows into one for each release and span; return how many rows went."""
        limit = datetime.fromtimestamp(int(before.timestamp()) // span_s * span_s, UTC)
        is_due = (windows.c.start_at < rows.time_text(limit)) & (
            windows.c.end_at <= rows.time_text(before)
        )
        fresh = (
            select(windows.c.backend, func.min(windows.c.start_at))
            .where(is_due, windows.c.span_s < span_s)
            .group_by(windows.c.backend)
        )
        gone = 0
        for backend, start in self.execute(fresh).all():
            first = int(datetime.fromisoformat(start).timestamp()) // span_s * span_s
            due = (
                select(windows)
                .where(
                    is_due,
                    windows.c.backend == backend,
                    windows.c.start_at >= rows.time_text(datetime.fromtimestamp(first, UTC)),
                )
                .order_by(windows.c.id)
            )
            gone += self._merge_windows(self.execute(due).all(), span_s)
        return gone

    def forget_windows(self, before: datetime) -> int:
        """Remove windows that end before ``before``; return how many went."""
        old = delete(windows).where(windows.c.end_at < rows.time_text(before))
        return self.execute(old).rowcount

    def add_decision(self, record: DecisionRecord, kept_max: int) -> int:
        """Add a decision and return its id; of its backend and decider only the newest ``kept_max`` stay."""
        adding = insert(decisions).returning(decisions.c.id)
        number: int = self.execute(adding, rows.decision_values(record)).scalar_one()
        of_same = (decisions.c.backend == record.backend) & (
            decisions.c.decider == record.decider.value
        )
        newest = select(decisions.c.id).where(of_same).order_by(decisions.c.id.desc())
        cut = newest.limit(1).offset(kept_max).scalar_subquery()
        self.execute(delete(decisions).where(of_same, decisions.c.id <= cut))
        return number

    def forget_decisions(self, before: datetime) -> int:
        """Remove decisions made before ``before``; return how many went."""
        old = delete(decisions).where(decisions.c.at < rows.time_text(before))
        return self.execute(old).rowcount

    def next_table_generation(self) -> int:
        """Advance and return the route table's generation."""
        return self._advance("table_generation")

    def put_token(self, token: Token) -> None:
        """Insert or replace a token."""
        holder = self.token_by_hash(token.secret_hash)
        if holder is not None and holder.id != token.id:
            raise Conflict("another token has the same secret")
        self._put(tokens, rows.token_values(token))

    def append_audit(
        self, record: AuditRecord, nodes: Mapping[tuple[int, int], bytes], head: TreeHead
    ) -> None:
        """Append one record with the subtree hashes it completes and the new head."""
        current = self.audit_head()
        size = 0 if current is None else current.size
        if record.index != size or head.size != size + 1:
            raise Conflict(f"audit record {record.index} is not the next one, {size}")
        self._records.append(record)
        self._nodes.update(nodes)
        self._head = head
        if len(self._records) >= AUDIT_BUFFER_MAX:
            self._flush_audit()

    def put_setting(self, name: str, value: str) -> None:
        """Store a setting."""
        self._put(settings, {"name": name, "value": value})

    def audit_head(self) -> TreeHead | None:
        """Return the head, with what this change appended."""
        if self._head is None:
            self._head = super().audit_head()
        return self._head

    def audit_records(
        self, start: int, limit: int, backend: str | None = None
    ) -> list[AuditRecord]:
        """Return records, with what this change appended."""
        self._flush_audit()
        return super().audit_records(start, limit, backend)

    def latest_audit_records(self, limit: int, backend: str | None = None) -> list[AuditRecord]:
        """Return the newest records, with what this change appended."""
        self._flush_audit()
        return super().latest_audit_records(limit, backend)

    def audit_nodes(self, ids: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        """Return stored subtree hashes, with what this change appended."""
        known = ChainMap(self._nodes, self._loaded)
        missing = [node_id for node_id in ids if node_id not in known]
        if missing:
            if len(self._loaded) > NODES_KEPT_MAX:
                self._loaded.clear()
            self._loaded.update(super().audit_nodes(missing))
        return {node_id: known[node_id] for node_id in ids if node_id in known}

    def _flush_audit(self) -> None:
        if not self._records or self._head is None:
            return
        self.execute(_INSERT_RECORDS, [rows.audit_values(record) for record in self._records])
        self.execute(
            _INSERT_NODES,
            [
                {"id": rows.node_key(level, index), "hash": node}
                for (level, index), node in self._nodes.items()
            ],
        )
        self._put(audit_head, {"id": 1, "size": self._head.size, "root_hash": self._head.root_hash})
        self._records.clear()
        self._nodes.clear()

    def _merge_windows(self, found: Sequence[Any], span_s: int) -> int:
        groups: dict[tuple[str, int], list[Any]] = {}
        for row in found:
            start = datetime.fromisoformat(row.start_at)
            groups.setdefault((row.version, int(start.timestamp()) // span_s), []).append(row)
        gone = 0
        for members in groups.values():
            merged = reduce(Window.merge, map(rows.to_window, members))
            values = {
                **rows.window_values(merged),
                "span_s": max(span_s, *(row.span_s for row in members)),
            }
            first, *others = [row.id for row in members]
            self.execute(update(windows).where(windows.c.id == first), values)
            for other in others:
                self.execute(delete(windows).where(windows.c.id == other))
            gone += len(others)
        return gone

    def _insert_new(self, table: Table, values: dict[str, Any]) -> bool:
        if self.execute(_KEY[table], _key_of(table, values)).first() is not None:
            return False
        self.execute(_INSERT[table], values)
        return True

    def _put(self, table: Table, values: dict[str, Any]) -> None:
        # Said in two statements, because every database spells an upsert its own way.
        changed = self.execute(_UPDATE[table], {**values, **_key_of(table, values)})
        if changed.rowcount == 0:
            self.execute(_INSERT[table], values)

    def _advance(self, counter: str) -> int:
        value: int | None = self.execute(_ADVANCE, {"counter": counter}).scalar_one_or_none()
        if value is None:
            value = 1
            self.execute(_INSERT[counters], {"name": counter, "value": value})
        return value

    def _require_release(self, backend: str, version: str) -> None:
        key = {"of_backend": backend, "of_version": version}
        if self.execute(_RELEASE_EXISTS, key).first() is None:
            raise Conflict(f"release {backend}/{version} does not exist")


def _key_of(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    return {f"of_{column.name}": values[column.name] for column in table.primary_key.columns}


def _stale(what: str, stored: Backend | ReleaseState | None, given: int) -> Conflict:
    revision = 0 if stored is None else stored.revision
    return Conflict(
        f"{what} changed meanwhile: it is at revision {revision}, not {given}",
        hint="read it again and repeat the change",
    )
