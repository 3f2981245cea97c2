"""Settings of an SQLite connection, where several may open the same fresh file at once."""

import sqlite3
import time

WRITE_AHEAD = "PRAGMA journal_mode = WAL"
LOCKED_TRIES = 100
LOCKED_PAUSE_S = 0.02


def set_patiently(connection: sqlite3.Connection, pragma: str) -> None:
    """Try again while the file is locked: SQLite itself does not wait when the journal's mode changes.

    Raises:
        sqlite3.Error: it stayed locked for two seconds, or it cannot be set.
    """
    for _ in range(LOCKED_TRIES):
        try:
            connection.execute(pragma).close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(LOCKED_PAUSE_S)
        else:
            return
    connection.execute(pragma).close()
