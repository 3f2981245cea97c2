"""Adding up what replicas tell, until a rollout looks."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from prometheus_ai.control.plane import Hearing, Told
from prometheus_ai.domain.answers import Judged
from prometheus_ai.domain.evidence import Arm, Moments, ReplicaTally

EMPTY = Arm()


def add(hearing: Hearing, backend: str, version: str, more: Arm) -> None:
    """Add to what was told of a release."""
    with hearing.lock:
        arms = hearing.told.setdefault(backend, Told()).arms
        arms[version] = merged(arms.get(version, EMPTY), more)


def add_labels(hearing: Hearing, backend: str, settled: Iterable[Judged]) -> None:
    """Add labelled answers, of releases whose rollout is under way."""
    for each in settled:
        if backend in hearing.told:
            add(hearing, backend, each.version, Arm(labelled=each.labelled, wrong=each.wrong))


def add_pairs(hearing: Hearing, backend: str, compared: int, disagreed: int) -> None:
    """Add compared shadow answers."""
    with hearing.lock:
        told = hearing.told.setdefault(backend, Told())
        told.compared += compared
        told.disagreed += disagreed


def lose(hearing: Hearing, backend: str, reason: str, count: int) -> None:
    """Count what was not kept; nothing is dropped silently."""
    if count > 0:
        with hearing.lock:
            reasons = hearing.lost.setdefault(backend, {})
            reasons[reason] = reasons.get(reason, 0) + count


def attend(hearing: Hearing, backends: frozenset[str]) -> None:
    """Begin to add up for backends with a rollout, and forget what no rollout will look at."""
    with hearing.lock:
        for name in hearing.told.keys() - backends:
            del hearing.told[name]
        for name in backends:
            hearing.told.setdefault(name, Told())


def take(hearing: Hearing | None, backend: str, *, is_fit: bool) -> Told:
    """Return what was told since the last time.

    Of a stretch that judges nobody only labels are kept: they are about older answers.
    """
    if hearing is None:
        return Told()
    with hearing.lock:
        told = hearing.told.get(backend)
        if told is None:
            return Told()
        hearing.told[backend] = Told()
        if not is_fit:
            hearing.told[backend].arms = {
                version: Arm(labelled=arm.labelled, wrong=arm.wrong)
                for version, arm in told.arms.items()
            }
            return Told()
    return told


def merged(one: Arm, other: Arm) -> Arm:
    """Return two arms as one."""
    outputs = Counter(dict(one.outputs))
    outputs.update(dict(other.outputs))
    quantities = dict(one.quantities)
    for name, moments in other.quantities:
        quantities[name] = quantities.get(name, Moments()).merge(moments)
    return replace(
        one,
        labelled=one.labelled + other.labelled,
        wrong=one.wrong + other.wrong,
        outputs=tuple(sorted(outputs.items())),
        quantities=tuple(sorted(quantities.items())),
        replicas=_tallies((*one.replicas, *other.replicas)),
    )


def _tallies(found: Iterable[ReplicaTally]) -> tuple[ReplicaTally, ...]:
    by_id: dict[str, ReplicaTally] = {}
    for tally in found:
        known = by_id.get(tally.id, ReplicaTally(id=tally.id, host=tally.host))
        by_id[tally.id] = replace(
            known, requests=known.requests + tally.requests, errors=known.errors + tally.errors
        )
    return tuple(by_id.values())


def difference(now: Mapping[str, Moments], before: Mapping[str, Moments]) -> dict[str, Moments]:
    """Return what was added between two readings of cumulative moments."""
    found = {}
    for name, moments in now.items():
        since = before.get(name, Moments())
        count = moments.count - since.count
        if count > 0:
            found[name] = Moments(
                count=count,
                total=moments.total - since.total,
                squares=max(0.0, moments.squares - since.squares),
            )
    return found
