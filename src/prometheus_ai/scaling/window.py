"""Demand over time in slots: a bounded memory with a mean, a spread and a trend."""

import math
from dataclasses import dataclass

Slots = tuple[tuple[int, float, float, int], ...]
SLOTS = 60
DEMAND_MAX = 1e9
"""No release has more requests at once; a larger sample would only break the sums."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """What the slots say together."""

    mean: float
    spread: float
    """Standard deviation of single samples."""
    slope_per_s: float
    """Rising trend, where both halves of the window show one beyond noise; zero otherwise."""


def slot_of(now_s: float, stable_s: float) -> int:
    """Return the slot of a time; a window has sixty of them."""
    return math.floor(now_s / (stable_s / SLOTS))


def add_sample(slots: Slots, slot: int, demand: float) -> Slots:
    """Return the slots with one more sample; what is older than the window is forgotten."""
    demand = min(demand, DEMAND_MAX)
    kept = tuple(entry for entry in slots if slot - SLOTS < entry[0] <= slot)
    if kept and kept[-1][0] == slot:
        _, total, squares, count = kept[-1]
        return (*kept[:-1], (slot, total + demand, squares + demand**2, count + 1))
    return (*kept, (slot, demand, demand**2, 1))


def demand_over(slots: Slots, slot: int, last: int, slot_s: float) -> Demand:
    """Return what the newest ``last`` slots say."""
    inside = [entry for entry in slots if entry[0] > slot - last]
    count = sum(entry[3] for entry in inside)
    if count == 0:
        return Demand(mean=0.0, spread=0.0, slope_per_s=0.0)
    mean = sum(entry[1] for entry in inside) / count
    variance = max(0.0, sum(entry[2] for entry in inside) / count - mean**2)
    # A step looks like a trend in one half of the window; only a ramp does in both.
    older = [entry for entry in inside if entry[0] <= slot - last // 2]
    newer = [entry for entry in inside if entry[0] > slot - last // 2]
    slope_per_s = max(0.0, min(_slope(older, slot_s), _slope(newer, slot_s)))
    return Demand(mean=mean, spread=math.sqrt(variance), slope_per_s=slope_per_s)


def _slope(inside: list[tuple[int, float, float, int]], slot_s: float) -> float:
    """Return the least-squares slope where it is over three times its standard error; zero otherwise."""
    n = len(inside)
    if n < 6:
        return 0.0
    times = [entry[0] for entry in inside]
    values = [entry[1] / entry[3] for entry in inside]
    middle, level = sum(times) / n, sum(values) / n
    width = sum((time - middle) ** 2 for time in times)
    slope = (
        sum((time - middle) * (value - level) for time, value in zip(times, values, strict=True))
        / width
    )
    rest = sum(
        (value - level - slope * (time - middle)) ** 2
        for time, value in zip(times, values, strict=True)
    )
    error = math.sqrt(rest / (n - 2) / width)
    return slope / slot_s if abs(slope) > 3 * error else 0.0
