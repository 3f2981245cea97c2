"""What one replica can do within an objective, from its measured service-time curve."""

from prometheus_ai.scaling.suggest import seconds_of

SLO_OF_SINGLE = 3.0
SLO_S_MIN = 0.05
"""Without an objective a request may take three times what it takes alone, and this at least."""


def objective_s(curve: tuple[tuple[int, float], ...], declared_ms: float | None) -> float:
    """Return the latency objective: as declared, else from what a single request takes."""
    if declared_ms is not None:
        return declared_ms / 1000
    return max(SLO_S_MIN, SLO_OF_SINGLE * curve[0][1])


def capacity(
    curve: tuple[tuple[int, float], ...], rows_max: int, slo_s: float
) -> tuple[float, float]:
    """Return how many requests a replica may hold at once, and how many it answers a second, within an objective.

    What is held waits at most half the objective for its turn; batches take at most half of it.
    Beyond the largest batch that was seen nothing is assumed to be gained.
    """
    largest = min(rows_max, curve[-1][0])
    whole_s = seconds_of(curve, largest)
    held = 1
    for count in range(1, 4 * largest + 1):
        full, rest = divmod(count, largest)
        if full * whole_s + (seconds_of(curve, rest) if rest else 0.0) <= slo_s / 2:
            held = count
    fitting = [n for n in range(1, largest + 1) if 2 * seconds_of(curve, n) <= slo_s] or [1]
    return float(held), max(n / seconds_of(curve, n) for n in fitting)
