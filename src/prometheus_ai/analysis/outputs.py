"""Do two releases answer alike? Distances between how often each answer is given."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_ai.analysis.exact import chi_square_tail

FIRST_LOOK = 500
"""Answers on each side before the first look; every look doubles it."""
OTHER = "(other)"
BINS_MAX = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputDistance:
    """How far two distributions are apart, and how surprising that is."""

    stability_index: float
    """The population stability index less what chance alone gives."""
    p_value: float
    bins: int


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputState:
    """Answers by label on each side, and the looks taken; bins are bounded."""

    candidate: tuple[tuple[str, int], ...] = ()
    baseline: tuple[tuple[str, int], ...] = ()
    looks: int = 0
    p_adjusted: float = 1.0
    """The smallest p-value of a look, multiplied so that all looks together keep their level."""
    stability_index: float = 0.0
    """At that last look."""


def observe_outputs(
    state: OutputState, candidate: Mapping[str, int], baseline: Mapping[str, int]
) -> OutputState:
    """Return the state after more answers; the test looks when the smaller side has doubled."""
    ours, theirs = _merged(state.candidate, candidate), _merged(state.baseline, baseline)
    looks, p_adjusted, index = state.looks, state.p_adjusted, state.stability_index
    if min(sum(ours.values()), sum(theirs.values())) >= FIRST_LOOK << looks:
        looks += 1
        found = distance(theirs, ours)
        # Levels alpha/(k(k+1)) over looks k = 1, 2, … add up to alpha.
        p_adjusted = min(1.0, found.p_value * looks * (looks + 1))
        index = found.stability_index
    return OutputState(
        candidate=tuple(sorted(ours.items())), baseline=tuple(sorted(theirs.items())),
        looks=looks, p_adjusted=p_adjusted, stability_index=index,
    )  # fmt: skip


def distance(baseline: Mapping[str, int], candidate: Mapping[str, int]) -> OutputDistance:
    """Return the population stability index with its chance level removed, and its p-value.

    Without a difference the index is (1/n + 1/m) times a chi-square variable of one degree less than bins
    (Yurdakul 2018), so fixed thresholds on it alarm on small samples by themselves.
    """
    labels = sorted({*baseline, *candidate})
    n, m, bins = sum(baseline.values()), sum(candidate.values()), len(labels)
    if bins < 2 or n == 0 or m == 0:
        return OutputDistance(stability_index=0.0, p_value=1.0, bins=bins)
    index = 0.0
    for label in labels:
        p = (candidate.get(label, 0) + 0.5) / (m + bins / 2)
        q = (baseline.get(label, 0) + 0.5) / (n + bins / 2)
        index += (p - q) * math.log(p / q)
    scale = 1 / n + 1 / m
    return OutputDistance(
        stability_index=max(0.0, index - (bins - 1) * scale),
        p_value=chi_square_tail(index / scale, bins - 1),
        bins=bins,
    )


def _merged(known: tuple[tuple[str, int], ...], more: Mapping[str, int]) -> dict[str, int]:
    merged = dict(known)
    for label, count in more.items():
        key = label if label in merged or len(merged) < BINS_MAX - 1 else OTHER
        merged[key] = merged.get(key, 0) + count
    return merged
