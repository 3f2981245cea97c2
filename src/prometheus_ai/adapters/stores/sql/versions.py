"""Brings the database's schema to this program's version."""

import importlib
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from prometheus_ai.domain.errors import Unsupported

HEAD = "0002"
"""The newest migration; a test holds it against the folder."""
_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, path: Path) -> None:
    """Apply the migrations that are missing, inside the caller's transaction.

    Raises:
        Unsupported: a newer program wrote the database, or it is not one of ours.
    """
    names = inspect(connection).get_table_names()
    stored = ""
    if "alembic_version" in names:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if found == HEAD:
            return
        stored = str(found or "")
    elif names:
        raise Unsupported(
            f"{path}: this database belongs to another program",
            hint="choose another home folder with --home or PAI_HOME",
        )
    # Loaded by name: most starts find the schema as it is, and Alembic costs a sixth of a start.
    module = importlib.import_module("prometheus_ai.adapters.stores.sql.migrate")
    module.migrate(connection, path, stored, _SCRIPTS)
