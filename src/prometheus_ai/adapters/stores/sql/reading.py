"""Queries inside one transaction."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Connection, bindparam, func, select
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import Executable

from prometheus_ai.adapters.stores.sql import rows
from prometheus_ai.adapters.stores.sql.faults import translate
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
from prometheus_ai.domain.errors import PlatformError
from prometheus_ai.domain.event import AuditRecord, Token, TreeHead
from prometheus_ai.domain.release import Backend, Release, ReleaseState
from prometheus_ai.domain.replica import ReplicaRecord
from prometheus_ai.domain.window import Window

Rows = CursorResult[*tuple[Any, ...]]
Value = TypeVar("Value")

RELEASES_CACHED_MAX = 20_000
KEYS_PER_QUERY = 500

_name: BindParameter[Any] = bindparam("name")
_of_backend: BindParameter[Any] = bindparam("backend")
_of_version: BindParameter[Any] = bindparam("version")
_since: BindParameter[Any] = bindparam("since")
_limit: BindParameter[Any] = bindparam("limit")
_keys: BindParameter[Any] = bindparam("keys", expanding=True)

_BACKENDS = select(backends).order_by(backends.c.name)
_BACKEND = select(backends).where(backends.c.name == _name)
_RELEASE_IDS = select(releases.c.id).order_by(releases.c.backend, releases.c.number)
_RELEASE_IDS_OF = _RELEASE_IDS.where(releases.c.backend == _of_backend)
_RELEASE_ID = select(releases.c.id).where(
    releases.c.backend == _of_backend, releases.c.version == _of_version
)
_RELEASE_ID_BY_DIGEST = (
    select(releases.c.id)
    .where(releases.c.backend == _of_backend, releases.c.digest == bindparam("digest"))
    .order_by(releases.c.number.desc())
    .limit(1)
)
_RELEASES_BY_ID = select(releases).where(releases.c.id.in_(_keys))
_STATES = select(release_states).order_by(release_states.c.backend, release_states.c.version)
_STATES_OF = _STATES.where(release_states.c.backend == _of_backend)
_REPLICA = select(replicas).where(replicas.c.id == _name)
_OPEN = (
    select(replicas)
    .where(replicas.c.ended_at.is_(None))
    .order_by(replicas.c.created_at, replicas.c.id)
)
_OPEN_OF = _OPEN.where(replicas.c.backend == _of_backend)
_ENDED = (
    select(replicas)
    .where(replicas.c.ended_at >= _since)
    .order_by(replicas.c.ended_at, replicas.c.id)
)
_ENDED_OF = _ENDED.where(replicas.c.backend == _of_backend)
_WINDOWS = (
    select(windows)
    .where(windows.c.end_at > _since, windows.c.end_at <= bindparam("until"))
    .order_by(windows.c.end_at, windows.c.backend, windows.c.version, windows.c.start_at)
)
_WINDOWS_OF = _WINDOWS.where(windows.c.backend == _of_backend)
_DECISION = select(decisions).where(
    decisions.c.backend == _of_backend, decisions.c.id == bindparam("decision")
)
_DECISIONS = (
    select(decisions)
    .where(decisions.c.backend == _of_backend, decisions.c.at >= _since)
    .order_by(decisions.c.id.desc())
    .limit(_limit)
)
_COUNTER = select(counters.c.value).where(counters.c.name == _name)
_TOKENS = select(tokens).order_by(tokens.c.created_at, tokens.c.id)
_TOKEN = select(tokens).where(tokens.c.secret_hash == bindparam("secret_hash"))
_HEAD = select(audit_head.c.size, audit_head.c.root_hash)
_RECORDS = (
    select(audit_records)
    .where(audit_records.c.position >= bindparam("start"))
    .order_by(audit_records.c.position)
    .limit(_limit)
)
_RECORDS_OF = _RECORDS.where(audit_records.c.backend == _of_backend)
_LATEST = select(audit_records).order_by(audit_records.c.position.desc()).limit(_limit)
_LATEST_OF = _LATEST.where(audit_records.c.backend == _of_backend)
_NODES = select(audit_nodes.c.id, audit_nodes.c.hash).where(audit_nodes.c.id.in_(_keys))
_NODE_RUN = select(audit_nodes.c.id, audit_nodes.c.hash).where(
    audit_nodes.c.id.between(bindparam("first"), bindparam("last"))
)
_SETTING = select(settings.c.value).where(settings.c.name == _name)
AUDIT_COUNT = select(func.count()).select_from(audit_records)


class SqlReading:
    """Reads in one transaction. ``cache`` holds parsed releases by row id: they never change."""

    def __init__(self, connection: Connection, path: Path, cache: dict[int, Release]) -> None:
        self._connection = connection
        self._path = path
        self._cache = cache
        self._fills_cache = True
        self._failure: PlatformError | None = None

    def execute(self, statement: Executable, parameters: Any = None) -> Rows:
        """Run a statement; a failure is kept, because the database may have undone the change."""
        if self._failure is not None:
            raise self._failure
        try:
            return self._connection.execute(statement, parameters)
        except SQLAlchemyError as error:
            self._failure = translate(error, self._path)
            raise self._failure from error

    def backend(self, name: str) -> Backend | None:
        """Return a backend, or None."""
        row = self.execute(_BACKEND, {"name": name}).one_or_none()
        return None if row is None else rows.to_backend(row)

    def backends(self) -> list[Backend]:
        """Return every backend, by name."""
        return [rows.to_backend(row) for row in self.execute(_BACKENDS).all()]

    def release(self, backend: str, version: str) -> Release | None:
        """Return a release, or None."""
        found = self._releases(_RELEASE_ID, {"backend": backend, "version": version})
        return found[0] if found else None

    def releases(self, backend: str | None = None) -> list[Release]:
        """Return the releases of one backend, or all, oldest first."""
        if backend is None:
            return self._releases(_RELEASE_IDS, {})
        return self._releases(_RELEASE_IDS_OF, {"backend": backend})

    def release_by_digest(self, backend: str, digest: str) -> Release | None:
        """Return the newest release with this digest, or None."""
        found = self._releases(_RELEASE_ID_BY_DIGEST, {"backend": backend, "digest": digest})
        return found[0] if found else None

    def release_states(self, backend: str | None = None) -> list[ReleaseState]:
        """Return where releases stand, by backend and version."""
        return self._of_one_or_all(_STATES, _STATES_OF, backend, {}, rows.to_release_state)

    def replica(self, replica_id: str) -> ReplicaRecord | None:
        """Return one replica record, or None."""
        row = self.execute(_REPLICA, {"name": replica_id}).one_or_none()
        return None if row is None else rows.to_replica(row)

    def open_replicas(self, backend: str | None = None) -> list[ReplicaRecord]:
        """Return the records of replicas that have not ended, oldest first."""
        return self._of_one_or_all(_OPEN, _OPEN_OF, backend, {}, rows.to_replica)

    def ended_replicas(self, since: datetime, backend: str | None = None) -> list[ReplicaRecord]:
        """Return the records of replicas that ended at or after ``since``, oldest first."""
        parameters = {"since": rows.time_text(since)}
        return self._of_one_or_all(_ENDED, _ENDED_OF, backend, parameters, rows.to_replica)

    def windows(
        self, since: datetime, backend: str | None = None, *, until: datetime | None = None
    ) -> list[Window]:
        """Return windows that end after ``since``, and not after ``until``; oldest first."""
        last = rows.time_text(until or datetime.max.replace(tzinfo=UTC))
        parameters = {"since": rows.time_text(since), "until": last}
        return self._of_one_or_all(_WINDOWS, _WINDOWS_OF, backend, parameters, rows.to_window)

    def decision(self, backend: str, number: int) -> DecisionRecord | None:
        """Return one decision about a backend, or None."""
        found = self.execute(_DECISION, {"backend": backend, "decision": number}).one_or_none()
        return None if found is None else rows.to_decision(found)

    def decisions(self, backend: str, since: datetime, limit: int) -> list[DecisionRecord]:
        """Return the newest decisions about a backend since then, at most ``limit``, oldest of them first."""
        parameters = {"backend": backend, "since": rows.time_text(since), "limit": limit}
        return [rows.to_decision(row) for row in self.execute(_DECISIONS, parameters)][::-1]

    def table_generation(self) -> int:
        """Return the generation of the last route table."""
        return self._counter("table_generation")

    def tokens(self) -> list[Token]:
        """Return all tokens, revoked ones included."""
        return [rows.to_token(row) for row in self.execute(_TOKENS)]

    def token_by_hash(self, secret_hash: bytes) -> Token | None:
        """Return the token with this secret, or None."""
        row = self.execute(_TOKEN, {"secret_hash": secret_hash}).one_or_none()
        return None if row is None else rows.to_token(row)

    def audit_head(self) -> TreeHead | None:
        """Return the log's last recorded head, or None when it is empty."""
        row = self.execute(_HEAD).one_or_none()
        return None if row is None else TreeHead(size=row[0], root_hash=row[1])

    def audit_records(
        self, start: int, limit: int, backend: str | None = None
    ) -> list[AuditRecord]:
        """Return records from index ``start`` on, in order, at most ``limit``."""
        parameters = {"start": start, "limit": limit}
        return self._of_one_or_all(_RECORDS, _RECORDS_OF, backend, parameters, rows.to_audit_record)

    def latest_audit_records(self, limit: int, backend: str | None = None) -> list[AuditRecord]:
        """Return the newest records, at most ``limit``, oldest of them first."""
        parameters = {"limit": limit}
        return self._of_one_or_all(_LATEST, _LATEST_OF, backend, parameters, rows.to_audit_record)[
            ::-1
        ]

    def audit_nodes(self, ids: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        """Return stored hashes of complete subtrees by (level, index)."""
        by_key = {rows.node_key(level, index): (level, index) for level, index in ids}
        keys = sorted(by_key)
        found: dict[tuple[int, int], bytes] = {}
        if keys and len(keys) > 64 and keys[-1] - keys[0] < 2 * len(keys):
            run = {"first": keys[0], "last": keys[-1]}
            for key, node in self.execute(_NODE_RUN, run):
                if key in by_key:
                    found[by_key[key]] = node
            return found
        for first in range(0, len(keys), KEYS_PER_QUERY):
            part = {"keys": keys[first : first + KEYS_PER_QUERY]}
            for key, node in self.execute(_NODES, part):
                found[by_key[key]] = node
        return found

    def setting(self, name: str) -> str | None:
        """Return a stored setting, or None."""
        value: str | None = self.execute(_SETTING, {"name": name}).scalar_one_or_none()
        return value

    def _of_one_or_all(
        self,
        every: Executable,
        of_backend: Executable,
        backend: str | None,
        parameters: dict[str, Any],
        parse: Callable[[Any], Value],
    ) -> list[Value]:
        if backend is None:
            result = self.execute(every, parameters)
        else:
            result = self.execute(of_backend, {**parameters, "backend": backend})
        return [parse(row) for row in result.all()]

    def _counter(self, name: str) -> int:
        return self.execute(_COUNTER, {"name": name}).scalar_one_or_none() or 0

    def _releases(self, statement: Executable, parameters: dict[str, Any]) -> list[Release]:
        keys: list[int] = list(self.execute(statement, parameters).scalars().all())
        known = {key: self._cache[key] for key in keys if key in self._cache}
        missing = [key for key in keys if key not in known]
        for first in range(0, len(missing), KEYS_PER_QUERY):
            part = {"keys": missing[first : first + KEYS_PER_QUERY]}
            for row in self.execute(_RELEASES_BY_ID, part):
                known[row[0]] = rows.to_release(row)
        if missing and self._fills_cache:
            if len(self._cache) + len(missing) > RELEASES_CACHED_MAX:
                self._cache.clear()
            self._cache.update((key, known[key]) for key in missing)
        return [known[key] for key in keys]
