"""Brings the database's schema to this program's version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from prometheus_ai.domain.errors import Unsupported

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, path: Path) -> None:
    """Apply the migrations that are missing, inside the caller's transaction.

    Raises:
        Unsupported: a newer program wrote the database, or it is not one of ours.
    """
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    names = inspect(connection).get_table_names()
    if "alembic_version" in names:
        stored = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        known = {revision.revision for revision in script.walk_revisions()}
        if stored == script.get_current_head():
            return
        if stored not in known:
            raise Unsupported(
                f"{path}: a newer version of the program wrote this database (schema {stored})",
                hint="run the newer version, or restore the backup made before the upgrade",
            )
    elif names:
        raise Unsupported(
            f"{path}: this database belongs to another program",
            hint="choose another home folder with --home or PAI_HOME",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
