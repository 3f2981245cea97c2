"""Database failures in the platform's words."""

import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from prometheus_ai.domain.errors import Conflict, Corrupted, PlatformError, Unavailable

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_HINTS = {
    sqlite3.SQLITE_FULL: (
        "the disk is full, or the database has reached its size limit",
        "free some space and try again; nothing of this change was kept",
    ),
    sqlite3.SQLITE_READONLY: (
        "the database cannot be written",
        "check the permissions of the file and its folder, and that the disk is not read-only",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the database cannot be opened",
        "check that the folder exists and that you may write in it",
    ),
    sqlite3.SQLITE_IOERR: (
        "reading or writing the disk failed",
        "check the disk and the system log; nothing of this change was kept",
    ),
    sqlite3.SQLITE_PERM: ("access was denied", "check the permissions of the file and its folder"),
}


def translate(error: SQLAlchemyError | sqlite3.Error, path: Path) -> PlatformError:
    """Return what happened to the database at ``path``, why, and what to do next."""
    if isinstance(error, PoolTimeout):
        return Unavailable(
            f"{path}: every connection is in use", hint="try again; if it persists, report it"
        )
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary in _DAMAGED or "unsupported file format" in str(cause):
        return damaged(path, str(cause))
    if primary in _BUSY:
        return Unavailable(
            f"{path}: another process holds the database ({cause})",
            hint="stop the other process that has this file open, then try again",
        )
    if primary == sqlite3.SQLITE_CONSTRAINT:
        return Conflict(f"{path}: the change contradicts what is stored ({cause})")
    if primary in _HINTS:
        what, hint = _HINTS[primary]
        return Unavailable(f"{path}: {what} ({cause})", hint=hint)
    return Unavailable(
        f"{path}: the database failed ({cause})",
        hint="nothing of this change was kept; if it happens again, report it with this message",
    )


def damaged(path: Path, evidence: str) -> Corrupted:
    """Return the error for a file whose bytes are not a sound database."""
    return Corrupted(
        f"{path}: the database is damaged ({evidence})",
        hint=f"keep a copy of {path} and of the -wal file beside it, then restore a backup of both",
    )
