"""Collecting garbage: artefacts and environments that no release names."""

import json
from dataclasses import dataclass

from prometheus_ai.control.intake.uploads import fresh_uploads
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.release import Artefact


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """What was, or would be, removed."""

    artefacts: tuple[str, ...]
    environments: tuple[str, ...]
    bytes_freed: int
    is_dry_run: bool


def collect(plane: Plane, *, dry_run: bool, asker: Asker) -> Collected:
    """Remove what no release of any backend names: every release can still be started or rolled back to."""
    with plane.lock:
        with plane.store.read() as reading:
            releases = reading.releases()
        keep = {digest for r in releases for digest in _needed(plane, r.inputs.model)}
        locks = frozenset(release.inputs.lock.digest for release in releases)
        keep |= locks | fresh_uploads(plane)
        unused = tuple(d for d in plane.artefacts.digests() if d not in keep)
        environments = {target: driver.prunable(locks) for target, driver in plane.drivers.items()}
        names = tuple(name for found in environments.values() for name in found)
        if dry_run:
            freed = sum(plane.artefacts.size_bytes(digest) for digest in unused)
            return Collected(
                artefacts=unused, environments=names, bytes_freed=freed, is_dry_run=True
            )
        freed = sum(plane.artefacts.delete(digest) for digest in unused)
        for target, found in environments.items():
            freed += plane.drivers[target].prune(found)
        if unused or names:
            with plane.store.write() as tx:
                note(
                    plane,
                    tx,
                    Kind.ARTEFACTS_COLLECTED,
                    Change(
                        actor=asker.actor,
                        reason=asker.reason or "gc",
                        after={
                            "artefacts": len(unused),
                            "environments": len(names),
                            "bytes": freed,
                        },
                    ),
                )
    return Collected(artefacts=unused, environments=names, bytes_freed=freed, is_dry_run=False)


def _needed(plane: Plane, artefact: Artefact) -> set[str]:
    """Return an artefact's digest and, of a tree, those of its files."""
    needed = {artefact.digest}
    if artefact.is_tree:
        manifest = json.loads(b"".join(plane.artefacts.read(artefact.digest)))
        needed |= set(manifest["files"].values())
    return needed
