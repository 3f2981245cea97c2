"""The file behind the answer log: opened when it is needed, and anew after it failed."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import structlog

from prometheus_ai.adapters.sqlite_patience import WRITE_AHEAD, set_patiently
from prometheus_ai.domain.errors import Unavailable

BUSY_S = 5.0
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PASSING = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
"""What says nothing against the connection: the same one goes on once there is room, or a turn."""

log = structlog.get_logger()


class _Unsound(sqlite3.DatabaseError):
    """What SQLite says of a file's structure when it is asked to look."""


class AnswersFile:
    """One connection, in which threads take turns. A damaged file is set aside, and a fresh one begun."""

    def __init__(self, path: Path, tables: str) -> None:
        self._path = path
        self._tables = tables
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for one transaction; what raises leaves nothing of it.

        Raises:
            Unavailable: the file cannot be read or written; a later call tries again.
        """
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._opened()
                with self._connection:
                    yield self._connection
            except (OSError, sqlite3.Error) as error:
                if _code(error) not in _PASSING:
                    self._let_go(error)
                raise Unavailable(
                    f"{self._path}: recent answers cannot be kept: {error}",
                    hint="check that its disk has room and can be written",
                ) from error

    def prepare(self) -> None:
        """Open the file now rather than at its first use.

        Raises:
            Unavailable: it cannot be opened; the first use tries again.
        """
        with self.change():
            pass

    def close(self) -> None:
        """Release the file, for good."""
        with self._lock:
            self._is_closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._is_closed:
            raise sqlite3.ProgrammingError("it was closed")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return _connected(self._path, self._tables)
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise
            self._set_aside(error)
        return _connected(self._path, self._tables)

    def _let_go(self, error: Exception) -> None:
        """Open the file anew the next time, or a fresh one where its bytes are wrong."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
            if _is_damage(error):
                with suppress(OSError):
                    self._set_aside(error)

    def _set_aside(self, error: Exception) -> None:
        aside = f"{self._path}.damaged"
        for suffix in ("-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        self._path.replace(aside)
        log.warning("answers_set_aside", path=aside, error=str(error))


def _connected(path: Path, tables: str) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
    try:
        set_patiently(connection, WRITE_AHEAD)
        # A power cut may cost the newest moments; writes then need no flush of the disk each second.
        connection.execute("PRAGMA synchronous = NORMAL")
        # Requests of users may be in it: what is deleted is overwritten.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        _check(connection)
        connection.executescript(tables)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    with closing(connection.execute("PRAGMA quick_check(1)")) as checked:
        if checked.fetchone()[0] != "ok":
            raise _Unsound("its pages do not fit together")


def _code(error: Exception) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_damage(error: Exception) -> bool:
    """Whether the bytes are wrong; a file that is locked, full or read-only is not damaged."""
    return isinstance(error, _Unsound) or _code(error) in _DAMAGED
