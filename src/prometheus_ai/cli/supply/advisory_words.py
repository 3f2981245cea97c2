"""Advisory data in words."""

from prometheus_ai.cli import output
from prometheus_ai.cli.watch.words import moment
from prometheus_ai.client.records import Record


def write_data(found: Record) -> None:
    """Write what the gate judges by."""
    if not found.digest:
        output.write("there is no advisory database: `pai advisories import FILE`")
        return
    output.write_fields(
        {
            "advisories": found.advisories,
            "ecosystems": ", ".join(found.ecosystems),
            "known exploited": found.known_exploited,
            "newest": moment(found.newest_at),
            "imported": moment(found.imported_at),
            "digest": found.digest,
        }
    )
