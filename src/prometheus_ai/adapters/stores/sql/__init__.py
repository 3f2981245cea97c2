"""State in a SQL database: SQLite in WAL mode, written so that PostgreSQL can follow.

Values enter as rows of portable types and leave as equal values.
A change is on disk when its block has ended, or has left no trace.
Nothing here uses SQL that only one database understands, except in ``sqlite_file``.
"""

from prometheus_ai.adapters.stores.sql.store import SqlStore

__all__ = ["SqlStore"]
