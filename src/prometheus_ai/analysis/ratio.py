"""Does something bad happen to the candidate more often than to the baseline? An exact count e-process.

In one interval the candidate answers ``n`` requests and the baseline ``m``; ``a`` and ``b`` of them are bad.
If the risk ratio is r, each bad one is the candidate's with chance r·n/(r·n + m), whatever the common rate
is. The likelihood ratio of a grid of r against the boundary r0 of the null hypothesis, averaged with fixed
weights, is a non-negative supermartingale under every r on the null's side, so by Ville's inequality the
chance that it ever reaches 1/alpha is at most alpha, however often one looks and however weights change.
(Counts without replacement are less spread than binomial ones, which keeps this on the safe side:
Hoeffding 1963, theorem 4.)

Harm is also looked for since the start of each step, so that long good behaviour cannot hide a late turn
for the worse: the average of e-processes that start at different times is one again.
"""

import math
from dataclasses import dataclass, field, replace

from prometheus_ai.analysis.exact import log_sum

_HARM_MULTIPLES = tuple(1.3 * 1.26**step for step in range(20))
# Most weight on two to five times as many, where time matters most; far more is seen at once anyway.
_HARM_PRIOR = tuple(
    0.05 + math.exp(-0.5 * (math.log(multiple / 2.5) / 0.8) ** 2) for multiple in _HARM_MULTIPLES
)
_SAFE_MULTIPLES = tuple(0.9 * 0.84**step for step in range(14))
LOG_HARM_WEIGHTS = tuple(math.log(weight / sum(_HARM_PRIOR)) for weight in _HARM_PRIOR)
LOG_SAFE_WEIGHTS = (-math.log(len(_SAFE_MULTIPLES)),) * len(_SAFE_MULTIPLES)

_WHOLE_SHARE = 0.7
_RESTARTS_MAX = 10
_RESTART_SHARE = (1 - _WHOLE_SHARE) / _RESTARTS_MAX
_LOG_MAX = 700.0
"""Evidence beyond e^700 is cut, so that it stays a number."""


def harm_ratios(tolerated: float) -> tuple[float, ...]:
    """Return the alternatives to "the ratio is at most tolerated"."""
    return tuple(tolerated * multiple for multiple in _HARM_MULTIPLES)


def safe_ratios(harmful: float) -> tuple[float, ...]:
    """Return the alternatives to "the ratio is at least harmful"."""
    return tuple(harmful * multiple for multiple in _SAFE_MULTIPLES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How many requests each side had, and how many of them were bad."""

    n: int = 0
    a: int = 0
    m: int = 0
    b: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Return both together."""
        return Counts(
            n=self.n + other.n, a=self.a + other.a, m=self.m + other.m, b=self.b + other.b
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RatioState:
    """Everything that the test remembers; its size never grows."""

    whole: tuple[float, ...] = (0.0,) * len(_HARM_MULTIPLES)
    """Log likelihood ratios since the start."""
    step: tuple[float, ...] = (0.0,) * len(_HARM_MULTIPLES)
    """The same since the last restart."""
    settled: float = 0.0
    """Weighted evidence of earlier steps."""
    restarts: int = 0
    safe: tuple[float, ...] = (0.0,) * len(_SAFE_MULTIPLES)
    total: Counts = field(default_factory=Counts)


def observe_counts(
    state: RatioState, counts: Counts, tolerated: float, harmful: float
) -> RatioState:
    """Return the state after one interval in which both sides had traffic at the same time."""
    total = state.total.plus(counts)
    if counts.n == 0 or counts.m == 0 or counts.a + counts.b == 0:
        # Without a concurrent baseline, or without a bad answer, an interval says nothing of the ratio.
        return replace(state, total=total)
    harm = _increments(counts, tolerated, harm_ratios(tolerated))
    safe = _increments(counts, harmful, safe_ratios(harmful))
    return replace(
        state,
        whole=_added(state.whole, harm),
        step=_added(state.step, harm),
        safe=_added(state.safe, safe),
        total=total,
    )


def restart_step(state: RatioState) -> RatioState:
    """Look for harm afresh from here on; a bounded number of times, beyond which it is one long step."""
    if state.restarts + 1 >= _RESTARTS_MAX:
        return state
    log_e = min(log_mixture(state.step, LOG_HARM_WEIGHTS), _LOG_MAX)
    return replace(
        state,
        step=(0.0,) * len(state.step),
        settled=min(state.settled + _RESTART_SHARE * math.exp(log_e), math.exp(_LOG_MAX)),
        restarts=state.restarts + 1,
    )


def log_harm(state: RatioState) -> float:
    """Return ln E against "the ratio is at most tolerated"; FAIL at ln(gates/alpha)."""
    unused = _RESTART_SHARE * (_RESTARTS_MAX - 1 - state.restarts)
    settled = state.settled + unused
    parts = (
        math.log(_WHOLE_SHARE) + log_mixture(state.whole, LOG_HARM_WEIGHTS),
        math.log(_RESTART_SHARE) + log_mixture(state.step, LOG_HARM_WEIGHTS),
    )
    return log_sum((*parts, math.log(settled)) if settled > 0 else parts)


def log_safety(state: RatioState) -> float:
    """Return ln E against "the ratio is at least harmful"; PASS at ln(1/beta)."""
    return log_mixture(state.safe, LOG_SAFE_WEIGHTS)


def log_mixture(logs: tuple[float, ...], log_weights: tuple[float, ...]) -> float:
    """Return ln of the weighted mean of exponentials."""
    return log_sum(tuple(value + weight for value, weight in zip(logs, log_weights, strict=True)))


def _increments(counts: Counts, null: float, ratios: tuple[float, ...]) -> tuple[float, ...]:
    """Return the log likelihood ratios of one interval: a·ln(r/r0) - (a+b)·ln((rn+m)/(r0·n+m))."""
    n, m, a = counts.n, counts.m, counts.a
    events = counts.a + counts.b
    log_null, log_base = math.log(null), math.log(null * n + m)
    return tuple(
        a * (math.log(ratio) - log_null) - events * (math.log(ratio * n + m) - log_base)
        for ratio in ratios
    )


def _added(logs: tuple[float, ...], more: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(
        min(max(before + change, -1e9), 1e9) for before, change in zip(logs, more, strict=True)
    )
