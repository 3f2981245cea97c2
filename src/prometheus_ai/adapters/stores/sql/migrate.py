"""Applies migrations. Alembic is loaded with this module, so only a start that needs it pays for it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from prometheus_ai.domain.errors import Unsupported


def migrate(connection: Connection, path: Path, stored: str, scripts: Path) -> None:
    """Apply what is missing after ``stored``, which is empty for a new database.

    Raises:
        Unsupported: a newer program wrote the database.
    """
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    if stored and stored not in {revision.revision for revision in script.walk_revisions()}:
        raise Unsupported(
            f"{path}: a newer version of the program wrote this database (schema {stored})",
            hint="run the newer version, or restore the backup made before the upgrade",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
