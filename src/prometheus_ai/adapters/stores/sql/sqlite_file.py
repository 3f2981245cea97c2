"""Everything that holds for SQLite alone: the file, its modes, its pragmas, its soundness."""

import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event

from prometheus_ai.adapters.sqlite_patience import WRITE_AHEAD, set_patiently
from prometheus_ai.adapters.stores.sql.faults import damaged
from prometheus_ai.domain.errors import Unavailable

CONNECTIONS_KEPT = 4
CONNECTIONS_MORE = 12
WAL_BYTES_KEPT = 64 * 2**20

_PRAGMAS = (
    WRITE_AHEAD,
    "PRAGMA synchronous = FULL",  # a commit that was acknowledged survives a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA temp_store = MEMORY",
    f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}",
)


def prepare_file(path: Path) -> None:
    """Make the file (mode 0600) and its folder (mode 0700), or tighten their modes.

    Raises:
        Unavailable: the folder or the file cannot be made or changed.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _tighten(path.parent, 0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        _tighten(path, 0o600)
    except OSError as error:
        raise Unavailable(
            f"{path}: the database cannot be opened for writing ({error.strerror})",
            hint="check that the folder exists, that you own it, and that its disk is writable",
        ) from error


def _tighten(path: Path, mode: int) -> None:
    if stat.S_IMODE(path.stat().st_mode) & ~mode:
        path.chmod(mode)


def make_engine(path: Path, busy_s: float) -> tuple[Engine, Engine]:
    """Return one engine for reading and one for writing, over the same connections."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=CONNECTIONS_KEPT,
        max_overflow=CONNECTIONS_MORE,
        pool_timeout=busy_s,
        connect_args={
            "timeout": busy_s,
            "isolation_level": None,  # transactions begin where we say, not where the driver guesses
            "check_same_thread": False,
        },
    )
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine, engine.execution_options(begin="BEGIN IMMEDIATE")


def _set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    for pragma in _PRAGMAS:
        set_patiently(connection, pragma)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def check_sound(connection: Connection, path: Path) -> None:
    """Read the file's structure once.

    Raises:
        Corrupted: pages, indexes or references do not fit together.
    """
    problems = [row[0] for row in connection.exec_driver_sql("PRAGMA quick_check(3)")]
    if problems != ["ok"]:
        raise damaged(path, "; ".join(str(problem) for problem in problems))
    dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if dangling is not None:
        raise damaged(path, f"a row of {dangling[0]} refers to a {dangling[2]} that is gone")
