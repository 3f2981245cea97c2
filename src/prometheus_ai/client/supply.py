"""What may run, and the proof of it: the client's verbs about statements, changes, flags and reports."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prometheus_ai.client.records import Record, Records, record, records
from prometheus_ai.client.uploads import Meter, Say, upload
from prometheus_ai.client.wire import Wire
from prometheus_ai.domain.errors import Conflict

BUNDLE_S = 1800.0
"""Longest wait for a bundle to be gathered, or to be checked and taken in."""


def _silent(_line: str) -> None:
    """Say nothing."""


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

    def export_bundle(
        self,
        name: str,
        target: Path | str,
        *,
        version: str | None = None,
        advisories: Sequence[Path | str] = (),
        on_progress: Say = _silent,
    ) -> Record:
        """Write a release with everything that it needs to a file, for a site without a network."""
        found = Path(target)
        if found.exists():
            raise Conflict(f"{found} exists", hint="choose another file")
        archives = [upload(self._wire, Path(), str(one), on_progress) for one in advisories]
        body = {
            "version": version,
            "advisories": [{"name": one.name, "digest": one.digest} for one in archives],
        }
        on_progress("gathering what the release needs")
        path = f"/api/v1/backends/{quote(name, safe='')}/bundles"
        exported = record(self._wire.ask("POST", path, body=body, timeout_s=BUNDLE_S).json())
        meter = Meter(what="fetching the bundle", total=exported.size_bytes, say=on_progress)
        self._wire.download(f"/api/v1/artefacts/{exported.digest}", found, meter.add, BUNDLE_S)
        return exported

    def import_bundle(
        self, path: Path | str, *, unsealed: bool = False, on_progress: Say = _silent
    ) -> Record:
        """Make a release of a bundle, after every byte of it was checked there."""
        found = upload(self._wire, Path(), str(path), on_progress)
        on_progress("checking the bundle")
        body = {"digest": found.digest, "unsealed": unsealed}
        answer = self._wire.ask("POST", "/api/v1/bundles/imports", body=body, timeout_s=BUNDLE_S)
        return record(answer.json())

    def _about(self, name: str, what: str, **query: str | None) -> Any:
        path = f"/api/v1/backends/{quote(name, safe='')}/{what}"
        return self._wire.ask("GET", path, query=query).json()
