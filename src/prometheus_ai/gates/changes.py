"""What came and what went between two releases: weaknesses and packages."""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_ai.domain.gate import Component, Severity, Vulnerability

_ORDER = list(Severity)
_Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageChange:
    """One package; a version is empty where it was not there."""

    name: str
    ecosystem: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """The difference, worst first."""

    came: tuple[Vulnerability, ...]
    went: tuple[Vulnerability, ...]
    stayed: int
    packages: tuple[PackageChange, ...]


def compare(
    before: tuple[Iterable[Component], Iterable[Vulnerability]],
    after: tuple[Iterable[Component], Iterable[Vulnerability]],
) -> Changes:
    """Compare two releases, each as (packages, weaknesses); one weakness by any of its names is the same."""
    old, new = tuple(before[1]), tuple(after[1])
    came = tuple(one for one in new if not _is_among(one, old))
    return Changes(
        came=_worst_first(came),
        went=_worst_first(one for one in old if not _is_among(one, new)),
        stayed=len(new) - len(came),
        packages=_packages(before[0], after[0]),
    )


def _is_among(one: Vulnerability, others: tuple[Vulnerability, ...]) -> bool:
    names = {one.id, *one.aliases}
    return any(
        one.package == other.package and names & {other.id, *other.aliases} for other in others
    )


def _worst_first(found: Iterable[Vulnerability]) -> tuple[Vulnerability, ...]:
    return tuple(
        sorted(
            found,
            key=lambda one: (not one.is_known_exploited, -_ORDER.index(one.severity), one.id),
        )
    )


def _packages(before: Iterable[Component], after: Iterable[Component]) -> tuple[PackageChange, ...]:
    old, new = _versions(before), _versions(after)
    return tuple(
        PackageChange(
            name=key[1], ecosystem=key[0], before=old.get(key, ""), after=new.get(key, "")
        )
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    )


def _versions(components: Iterable[Component]) -> dict[_Key, str]:
    found: dict[_Key, set[str]] = {}
    for one in components:
        found.setdefault((one.ecosystem, one.name), set()).add(one.version)
    return {key: ", ".join(sorted(versions)) for key, versions in found.items()}
