"""The difference between two releases, both judged by today's data."""

from dataclasses import dataclass

from prometheus_ai.control.gates.records import Decided, gate_of, latest
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.gate import Component, Vulnerability
from prometheus_ai.gates.changes import Changes, compare


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangesView:
    """What came and what went from one release to another."""

    backend: str
    since: str
    version: str
    advisories: str
    """Digest of the data that judged both; empty where there is none, so that weaknesses are unknown."""
    changes: Changes


def changes(
    plane: Plane, backend: str, since: str | None = None, version: str | None = None
) -> ChangesView:
    """Compare a release with an earlier one: the newest with the one before it, by default.

    Raises:
        NotFound: there are not two releases that the gate decided about.
        Unavailable: the advisory database cannot be read.
    """
    gate = gate_of(plane)
    new = latest(plane, backend, version)
    old = latest(plane, backend, since or _before(plane, backend, new.candidate.version))
    data = gate.advisories.status()
    packages = _packages(old), _packages(new)
    weak: list[tuple[Vulnerability, ...]] = [
        gate.advisories.match(one) if data.digest else () for one in packages
    ]
    return ChangesView(
        backend=backend,
        since=old.candidate.version,
        version=new.candidate.version,
        advisories=data.digest,
        changes=compare((packages[0], weak[0]), (packages[1], weak[1])),
    )


def _before(plane: Plane, backend: str, version: str) -> str:
    with plane.store.read() as reading:
        names = [release.version for release in reading.releases(backend)]
    place = names.index(version) if version in names else 0
    if place == 0:
        raise NotFound(f"{backend} has no release before {version}", hint="name one with --since")
    return names[place - 1]


def _packages(decided: Decided) -> tuple[Component, ...]:
    return decided.evidence.sbom.components if decided.evidence.sbom else ()
