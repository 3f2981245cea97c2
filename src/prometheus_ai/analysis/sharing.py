"""Did the candidate get the share of traffic that its weight says? An exact mixture test.

A share that is off means that somebody else decides who goes where, and then the two sides differ in their
requests and not only in their version: nothing may be concluded from them.
"""

import math
from dataclasses import dataclass

from prometheus_ai.analysis.exact import log_beta

_LOG_BAR = math.log(1e4)
_PRIOR = 200.0
"""The alternatives scatter around the weight like this many requests would."""
DEVIATION = 0.1
DEVIATION_STICKY = 0.5
"""Relative deviation that matters. Sticky clients send unequal numbers of requests, so more is normal there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShareState:
    """Requests since the weights last changed."""

    weight: float = 0.0
    candidate: int = 0
    all: int = 0


def observe_share(state: ShareState, weight: float, candidate: int, baseline: int) -> ShareState:
    """Return the state after one interval; other weights start it anew."""
    known = state if state.weight == weight else ShareState(weight=weight)
    return ShareState(
        weight=weight,
        candidate=known.candidate + candidate,
        all=known.all + candidate + baseline,
    )


def share_mismatch(state: ShareState, *, is_sticky: bool = False) -> str:
    """Return what is wrong with the share; empty when nothing is."""
    w, k, n = state.weight, state.candidate, state.all
    if not 0 < w < 1 or n == 0:
        return ""
    a, b = w * _PRIOR, (1 - w) * _PRIOR
    log_e = (
        log_beta(a + k, b + n - k) - log_beta(a, b) - k * math.log(w) - (n - k) * math.log(1 - w)
    )
    allowed = (DEVIATION_STICKY if is_sticky else DEVIATION) * min(w, 1 - w)
    if log_e < _LOG_BAR or abs(k / n - w) <= allowed:
        return ""
    return (
        f"the candidate answered {k} of {n} requests ({k / n:.1%}), but its weight is {w:.1%}:"
        " something else decides who goes where"
    )
