"""The store: transactions over one database file."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from prometheus_ai.adapters.stores.sql.faults import translate
from prometheus_ai.adapters.stores.sql.reading import SqlReading
from prometheus_ai.adapters.stores.sql.sqlite_file import check_sound, make_engine, prepare_file
from prometheus_ai.adapters.stores.sql.versions import upgrade
from prometheus_ai.adapters.stores.sql.writing import SqlWriting
from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.domain.event import AuditRecord
from prometheus_ai.domain.release import Release
from prometheus_ai.ports.state_store import Reading, Writing

BUSY_S = 10.0
"""Longest wait for another writer, and for a free connection."""


class SqlStore:
    """Durable state in one SQLite file; see decision 0005."""

    def __init__(self, path: Path, reader: Engine, writer: Engine, busy_s: float) -> None:
        self._path = path
        self._reader = reader
        self._writer = writer
        self._busy_s = busy_s
        self._turn = threading.Lock()
        self._turn_of: int | None = None
        self._cache: dict[int, Release] = {}

    @classmethod
    def open(cls, path: Path, *, busy_s: float = BUSY_S) -> Self:
        """Open the database, making or upgrading it when needed, and check that it is sound.

        Raises:
            Unavailable: the file cannot be made or written, the disk is full, or another process holds it.
            Corrupted: the file is damaged.
            Unsupported: a newer program wrote it, or it belongs to another program.
        """
        path = path.absolute()
        prepare_file(path)
        reader, writer = make_engine(path, busy_s)
        store = cls(path, reader, writer, busy_s)
        try:
            with store._transaction(reader) as connection:
                check_sound(connection, path)
            with store._transaction(writer) as connection:
                upgrade(connection, path)
        except BaseException:
            store.close()
            raise
        return store

    def read(self) -> AbstractContextManager[Reading]:
        """Open a consistent view."""
        return self._read()

    def write(self) -> AbstractContextManager[Writing]:
        """Open a change: on disk when the block ends, rolled back when it raises."""
        return self._write()

    def close(self) -> None:
        """Release connections."""
        self._reader.dispose()

    def describe(self) -> Mapping[str, Any]:
        """Say what it is, where, and how large."""
        sizes = {
            suffix: Path(f"{self._path}{suffix}").stat().st_size
            for suffix in ("", "-wal")
            if Path(f"{self._path}{suffix}").exists()
        }
        with self._read() as view:
            head = view.audit_head()
        return {
            "kind": "sqlite",
            "path": str(self._path),
            "size_bytes": sizes.get("", 0),
            "wal_bytes": sizes.get("-wal", 0),
            "audit_records": 0 if head is None else head.size,
        }

    def iterate_audit(self, batch: int) -> Iterator[AuditRecord]:
        """Yield every audit record in storage order, ``batch`` at a time, from one view."""
        with self._read() as view:
            start = 0
            while records := view.audit_records(start, batch):
                yield from records
                start = records[-1].index + 1

    @contextmanager
    def _read(self) -> Iterator[SqlReading]:
        with self._transaction(self._reader) as connection:
            yield SqlReading(connection, self._path, self._cache)

    @contextmanager
    def _write(self) -> Iterator[SqlWriting]:
        thread = threading.get_ident()
        if self._turn_of == thread:
            raise RuntimeError("a change is already open on this thread")
        if not self._turn.acquire(timeout=self._busy_s):
            raise Unavailable(
                f"{self._path}: another change has been open for {self._busy_s:g} s",
                hint="try again; if it persists, restart the control plane",
            )
        self._turn_of = thread
        try:
            with self._transaction(self._writer) as connection:
                change = SqlWriting(connection, self._path, self._cache)
                yield change
                change.finish()
        finally:
            self._turn_of = None
            self._turn.release()

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise translate(error, self._path) from error
