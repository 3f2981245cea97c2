"""Is a mean worse than tolerated? The mixture sequential probability ratio test, one-sided.

It rests on the normal approximation of means, which is why rates are judged by counts instead: at a rate of
0.1 % its false alarms reach 8 % at a nominal 5 %.
"""

import math
from dataclasses import dataclass, field
from statistics import NormalDist

from prometheus_ai.domain.evidence import Moments

SAMPLES_MIN = 100
"""Fewer values on either side than this are no normal mean."""
_EXPONENT_MAX = 700.0
_NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanState:
    """Everything that the test remembers; the evidence is the largest yet seen."""

    name: str
    candidate: Moments = field(default_factory=Moments)
    baseline: Moments = field(default_factory=Moments)
    log_harm: float = 0.0
    log_safety: float = 0.0


def observe_means(
    state: MeanState, candidate: Moments, baseline: Moments, gate: tuple[float, float, int]
) -> MeanState:
    """Return the state after more values; ``gate`` is tolerated, harmful and +1 or -1 for higher or lower is worse."""
    tolerated, harmful, sign = gate
    ours, theirs = state.candidate.merge(candidate), state.baseline.merge(baseline)
    log_harm, log_safety = state.log_harm, state.log_safety
    if min(ours.count, theirs.count) >= SAMPLES_MIN and theirs.mean != 0:
        size = abs(theirs.mean)
        worse = sign * (ours.mean - theirs.mean)
        variance = ours.variance / ours.count + theirs.variance / theirs.count
        spread = (harmful - tolerated) / 2 * size
        log_harm = max(log_harm, log_sprt(worse - tolerated * size, variance, spread))
        log_safety = max(log_safety, log_sprt(harmful * size - worse, variance, spread))
    return MeanState(
        name=state.name, candidate=ours, baseline=theirs, log_harm=log_harm, log_safety=log_safety
    )


def log_sprt(difference: float, variance: float, spread: float) -> float:
    """Return ln of the likelihood ratio of "above zero", mixed over a half-normal of this spread, to "zero"."""
    if variance <= 0:
        # Values without any variance: the smallest that keeps the ratio a number.
        variance = 1e-12 * spread**2
    v, t = variance, spread**2
    exponent = difference**2 * t / (2 * v * (v + t))
    one_sided = 2 * _NORMAL.cdf(difference * t / (v + t) / math.sqrt(v * t / (v + t)))
    if one_sided < 1e-300:
        return -_EXPONENT_MAX
    log_ratio = 0.5 * math.log(v / (v + t)) + exponent + math.log(one_sided)
    return min(log_ratio, _EXPONENT_MAX)
