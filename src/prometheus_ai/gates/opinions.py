"""Several scanners' findings as one list: the same weakness is one, by any of its names."""

import re
from collections.abc import Iterable
from dataclasses import replace

from prometheus_ai.domain.gate import Component, Severity, Vulnerability

_ORDER = list(Severity)
# Kinds of packages that our own list is meant to hold completely.
_OWN = ("PyPI", "Debian", "Ubuntu", "Alpine", "Red Hat")


def merge(
    own: Iterable[Vulnerability], others: Iterable[Vulnerability]
) -> tuple[Vulnerability, ...]:
    """Unite findings: of the same weakness in the same package the worst rating and all fixes count."""
    found: list[Vulnerability] = list(own)
    for other in others:
        for place, one in enumerate(found):
            if _is_same(one, other):
                found[place] = _united(one, other)
                break
        else:
            found.append(other)
    return tuple(
        sorted(
            found,
            key=lambda one: (not one.is_known_exploited, -_ORDER.index(one.severity), one.id),
        )
    )


def unlisted(own: Iterable[Component], others: Iterable[Component]) -> tuple[str, ...]:
    """Return packages that another list has and ours has not, in words."""
    known = {(_name(one.name), one.version) for one in own}
    known |= {(_name(one.source), one.source_version) for one in own if one.source}
    return tuple(
        sorted(
            {
                f"{one.name} {one.version} at {one.location or 'an unnamed place'}"
                for one in others
                if one.ecosystem in _OWN and (_name(one.name), one.version) not in known
            }
        )
    )


def _is_same(one: Vulnerability, other: Vulnerability) -> bool:
    return _name(one.package) == _name(other.package) and bool(
        {one.id, *one.aliases} & {other.id, *other.aliases}
    )


def _united(one: Vulnerability, other: Vulnerability) -> Vulnerability:
    worst = max(one, other, key=lambda said: _ORDER.index(said.severity))
    scores = [said for said in (one.score, other.score) if said is not None]
    return replace(
        one,
        aliases=tuple(sorted({one.id, other.id, *one.aliases, *other.aliases})),
        severity=worst.severity,
        score=max(scores, default=None),
        fixed_in=tuple(dict.fromkeys((*one.fixed_in, *other.fixed_in))),
        is_known_exploited=one.is_known_exploited or other.is_known_exploited,
        sources=tuple(dict.fromkeys((*one.sources, *other.sources))),
    )


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()
