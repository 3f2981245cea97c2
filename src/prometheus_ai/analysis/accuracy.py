"""Is the candidate wrong more often than the baseline plus a tolerance? An exact two-sample e-process.

Labels arrive late and in blocks. Before each block the alternative is fixed: the baseline's wrong rate as
estimated from earlier blocks, and the candidate's above it by a grid of amounts. The null hypothesis that
explains the block best, in Kullback-Leibler distance, is the denominator (Turner, Ly and Grünwald 2021;
Turner and Grünwald 2023). Unlike a ratio of counts it uses right answers too, so it is quick where wrong
answers are common.
"""

import math
from dataclasses import dataclass, field, replace

from prometheus_ai.analysis.exact import log_sum
from prometheus_ai.analysis.ratio import Counts

_AMOUNTS = (0.06, 0.18, 0.35)
"""How much more often than tolerated the candidate may be wrong, under the alternatives."""
_EDGE = 1e-3
"""Rates are kept this far from 0 and 1, where one surprise would be infinite evidence."""
_HALVINGS = 14
_PRIOR_WRONG, _PRIOR_LABELS = 0.5, 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracyState:
    """Everything that the test remembers; its size never grows."""

    harm: tuple[float, ...] = (0.0,) * len(_AMOUNTS)
    safe: tuple[float, ...] = (0.0,) * len(_AMOUNTS)
    total: Counts = field(default_factory=Counts)
    """Labelled answers, and the wrong ones among them."""
    judged: Counts = field(default_factory=Counts)
    """Those that are in the evidence."""
    waiting: Counts = field(default_factory=Counts)
    """Those that are not yet: labels of one side alone."""


def observe_labels(
    state: AccuracyState, block: Counts, tolerated: float, harmful: float
) -> AccuracyState:
    """Return the state after a block of labels; those of one side alone wait for the other's.

    When labels trickle in, one interval seldom has both sides, and one side alone compares nothing.
    """
    total = state.total.plus(block)
    waiting = state.waiting.plus(block)
    if waiting.n == 0 or waiting.m == 0:
        return replace(state, total=total, waiting=waiting)
    before, block = state.judged, waiting
    known_wrong = before.b + _PRIOR_WRONG
    guess = known_wrong / (before.m + _PRIOR_LABELS)
    harm = tuple(
        value + _evidence(block, _inside(guess), _inside(guess + tolerated + amount), tolerated)
        for value, amount in zip(state.harm, _AMOUNTS, strict=True)
    )
    safe = tuple(
        value + _evidence(block, _inside(guess), _inside(guess + harmful - amount), harmful, -1)
        for value, amount in zip(state.safe, _safe_amounts(harmful), strict=True)
    )
    return AccuracyState(harm=harm, safe=safe, total=total, judged=before.plus(block))


def log_worse(state: AccuracyState) -> float:
    """Return ln E against "the candidate's accuracy is at most ``tolerated`` lower"."""
    return log_sum(state.harm) - math.log(len(state.harm))


def log_not_worse(state: AccuracyState) -> float:
    """Return ln E against "the candidate's accuracy is at least ``harmful`` lower"."""
    return log_sum(state.safe) - math.log(len(state.safe))


def _safe_amounts(harmful: float) -> tuple[float, ...]:
    return tuple(harmful * share for share in (0.5, 1.0, 1.6))


def _inside(rate: float) -> float:
    return min(max(rate, _EDGE), 1 - _EDGE)


def _evidence(block: Counts, base: float, candidate: float, gap: float, gap_side: int = 1) -> float:
    """Return the log likelihood ratio of the alternative over the null p_c = p_b + gap nearest to it."""
    if (candidate - base - gap) * gap_side <= 0:
        # At the edges the alternative is clipped into the null hypothesis: no evidence either way.
        return 0.0
    near = _nearest(block, base, candidate, gap)
    return (
        _log_likelihood(block.a, block.n, candidate)
        - _log_likelihood(block.a, block.n, _inside(near + gap))
        + _log_likelihood(block.b, block.m, base)
        - _log_likelihood(block.b, block.m, _inside(near))
    )


def _nearest(block: Counts, base: float, candidate: float, gap: float) -> float:
    """Minimise n KL(candidate, x + gap) + m KL(base, x) over x: convex, so its slope has one root.

    The root lies between the two alternatives; what halving leaves is of second order in the evidence.
    """
    low, high = sorted((base, candidate - gap))
    low, high = max(low, _EDGE), min(high, 1 - _EDGE - gap)
    for _ in range(_HALVINGS):
        x = (low + high) / 2
        y = x + gap
        slope = block.n * (y - candidate) / (y * (1 - y)) + block.m * (x - base) / (x * (1 - x))
        if slope > 0:
            high = x
        else:
            low = x
    return (low + high) / 2


def _log_likelihood(events: int, trials: int, rate: float) -> float:
    return events * math.log(rate) + (trials - events) * math.log(1 - rate)
