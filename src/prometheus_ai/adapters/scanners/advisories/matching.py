"""Whether a version is affected, and which advisories are one weakness."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_ai.adapters.scanners.advisories.versions import UnknownVersion, order_of
from prometheus_ai.domain.gate import Component, Severity, Vulnerability

_RANK = list(Severity)


def package_key(ecosystem: str, name: str) -> str:
    """Return a package's name as its ecosystem compares names."""
    if ecosystem.partition(":")[0] == "PyPI":
        return re.sub(r"[-_.]+", "-", name).lower()
    return name


def is_affected(version: str, ecosystem: str, affected: Mapping[str, Any]) -> bool:
    """Whether an OSV ``affected`` entry covers a version; one that has no order counts as covered."""
    order = order_of(ecosystem)
    listed = affected.get("versions") or ()
    ranges = affected.get("ranges") or ()
    try:
        key = order(version)
        # Debian's order complains only when it compares.
        order("0")
    except UnknownVersion:
        return version in listed or bool(ranges)
    if version in listed or any(_equal(order, key, one) for one in listed):
        return True
    try:
        return any(_in_range(order, key, one["events"]) for one in ranges)
    except UnknownVersion:
        return True


def _equal(order: Any, key: Any, other: str) -> bool:
    try:
        return bool(order(other) == key)
    except UnknownVersion:
        return False


def _in_range(order: Any, key: Any, events: Iterable[Mapping[str, str]]) -> bool:
    """Walk a range's events in version order, as the OSV schema defines it."""
    marks = []
    limits = []
    for event in events:
        for kind, text in event.items():
            if kind == "limit":
                limits.append(text)
            elif kind == "introduced" and text == "0":
                marks.append((0, None, kind))
            else:
                marks.append((1, order(text), kind))
    marks.sort(key=lambda one: (one[0], one[1]) if one[0] else (0,))
    affected = False
    for is_bounded, mark, kind in marks:
        reached = not is_bounded or key >= mark
        if kind == "introduced" and reached:
            affected = True
        elif (kind == "fixed" and reached) or (kind == "last_affected" and key > mark):
            affected = False
    return affected and (not limits or any(one == "*" or key < order(one) for one in limits))


def fixes(version: str, ecosystem: str, affected: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the versions above this one that an entry names as fixed."""
    order = order_of(ecosystem)
    found = []
    for one in affected.get("ranges") or ():
        for event in one["events"]:
            text = event.get("fixed")
            if text is None:
                continue
            try:
                if order(text) > order(version):
                    found.append(text)
            except UnknownVersion:
                found.append(text)
    return tuple(dict.fromkeys(found))


def unite(
    component: Component, hits: list[dict[str, Any]], exploited: frozenset[str]
) -> list[Vulnerability]:
    """Make one weakness of the advisories of one component that name each other."""
    groups: list[tuple[set[str], list[dict[str, Any]]]] = []
    for hit in hits:
        names = {*hit["names"], *hit["related"]}
        joined = [group for group in groups if group[0] & names]
        merged = (names.union(*(g[0] for g in joined)), [h for g in joined for h in g[1]] + [hit])
        groups = [group for group in groups if group not in joined] + [merged]
    return [_vulnerability(component, names, found, exploited) for names, found in groups]


def _vulnerability(
    component: Component, names: set[str], hits: list[dict[str, Any]], exploited: frozenset[str]
) -> Vulnerability:
    own = {name for hit in hits for name in hit["names"]}
    worst = max(hits, key=lambda hit: (_RANK.index(Severity(hit["severity"])), hit["score"] or 0))
    return Vulnerability(
        id=_best_name(own) or _best_name(names) or min(own),
        aliases=tuple(sorted(own)),
        related=tuple(sorted(names - own)),
        severity=Severity(worst["severity"]),
        score=worst["score"],
        package=component.source or component.name,
        version=component.source_version or component.version,
        ecosystem=component.ecosystem,
        fixed_in=tuple(dict.fromkeys(text for hit in hits for text in hit["fixed"])),
        is_known_exploited=bool(names & exploited),
        summary=next((hit["summary"] for hit in hits if hit["summary"]), ""),
        location=component.location,
        sources=("osv",),
    )


def _best_name(names: set[str]) -> str:
    return min((name for name in names if name.startswith("CVE-")), default="")


def decoded(row: tuple[Any, ...], version: str, ecosystem: str) -> dict[str, Any] | None:
    """Return a row of the database as a hit, None when it does not cover the version."""
    advisory, names, related, severity, score, summary, text = row
    affected = json.loads(text)
    if not is_affected(version, ecosystem, affected):
        return None
    return {
        "id": advisory, "names": json.loads(names), "related": json.loads(related),
        "severity": severity, "score": score, "summary": summary,
        "fixed": fixes(version, ecosystem, affected),
    }  # fmt: skip
