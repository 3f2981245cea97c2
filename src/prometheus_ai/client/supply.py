"""What may run, and the proof of it: the client's verbs about statements, changes, flags and reports."""

from typing import Any
from urllib.parse import quote

from prometheus_ai.client.records import Record, Records, record, records
from prometheus_ai.client.wire import Wire


class SupplyCalls:
    """The supply chain's part of the client."""

    _wire: Wire

    def statements(self, name: str, version: str | None = None) -> Records:
        """Return what can be said about a release, as in-toto predicates that wait for a signature."""
        return records(self._about(name, "statements", version=version))

    def gate_changes(
        self, name: str, *, since: str | None = None, version: str | None = None
    ) -> Record:
        """Say which weaknesses and packages came and went between two releases, by today's data."""
        return record(self._about(name, "gate/changes", since=since, version=version))

    def compliance(self, name: str) -> Record:
        """Return what runs, from what, who approved it and which controls that meets, each with its proof."""
        return record(self._about(name, "compliance"))

    def _about(self, name: str, what: str, **query: str | None) -> Any:
        path = f"/api/v1/backends/{quote(name, safe='')}/{what}"
        return self._wire.ask("GET", path, query=query).json()
