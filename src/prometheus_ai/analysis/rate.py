"""Is a proportion above, or below, a fixed bound? An exact e-process over counts alone.

Likelihood ratios of a grid of rates against the bound depend only on totals, so the totals are the state.
"""

import math

from prometheus_ai.analysis.exact import log_sum

_STEPS = 12
_SMALLEST = 1e-12


def log_above(events: int, trials: int, bound: float) -> float:
    """Return ln E against "the rate is at most bound"."""
    rates = tuple(bound + (1 - bound) * (step + 0.5) / _STEPS for step in range(_STEPS))
    return _log_e(events, trials, bound, rates)


def log_below(events: int, trials: int, bound: float) -> float:
    """Return ln E against "the rate is at least bound"."""
    rates = (bound * 1e-3, *(bound * (step + 0.5) / _STEPS for step in range(_STEPS - 1)))
    return _log_e(events, trials, bound, rates)


def trials_to_prove_below(bound: float, rate: float, log_bar: float) -> int | None:
    """Return how many trials at ``rate`` prove that it is below the bound; None when it is not."""
    if rate >= bound:
        return None
    step = 16
    while step < 1 << 40:
        if log_below(math.ceil(rate * step), step, bound) >= log_bar:
            break
        step *= 2
    else:
        return None
    low, high = step // 2, step
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        if log_below(math.ceil(rate * middle), middle, bound) >= log_bar:
            high = middle
        else:
            low = middle
    return high


def _log_e(events: int, trials: int, bound: float, rates: tuple[float, ...]) -> float:
    if trials == 0 or not 0 < bound < 1:
        return 0.0
    good = trials - events
    logs = tuple(
        events * math.log(max(rate, _SMALLEST) / bound) + good * math.log((1 - rate) / (1 - bound))
        for rate in rates
    )
    return log_sum(logs) - math.log(len(rates))
