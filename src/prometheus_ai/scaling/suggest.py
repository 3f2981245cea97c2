"""What a release should be given, from what it was seen to need; every suggestion carries its risk."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_ai.scaling.wishes import replicas_for

CPU_PERIOD_S = 0.1
"""The kernel hands out CPU quota in periods of this length."""
MEMORY_MARGIN = 0.15
START_MARGIN = 1.05
OOM_FACTOR = 1.25
KNEE = 0.9
"""Batches grow until throughput is this much of the best there is."""
HOURS_A_MONTH = 730.0
SECONDS_A_MONTH = HOURS_A_MONTH * 3600
_QUOTAS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
_TIMEOUTS_S = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """One value for one setting of the spec."""

    setting: str
    value: float
    why: str
    risk: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryFacts:
    """What memory a replica was seen to use, in bytes."""

    daily_peaks: tuple[int, ...]
    start_peak: int = 0
    killed_at: int = 0
    """The limit at which it was last killed for memory; 0 when it never was."""
    floor: int = 0
    """Model, runtime and the largest batch: it cannot run in less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceFacts:
    """How a replica answers, and what is asked of it."""

    curve: tuple[tuple[int, float], ...]
    """Rows in a batch and the engine's seconds for it, growing."""
    peak_per_s: float
    """Requests a second in the busiest minutes."""
    slo_s: float
    utilisation: float = 0.7


@dataclass(frozen=True, kw_only=True, slots=True)
class SleepChoice:
    """What sleeping after an idle time would come to."""

    idle_s: float
    cold_share: float
    """Requests that would wait for a start."""
    awake_share: float
    """Of the time that would be paid for."""


def suggest_memory(facts: MemoryFacts) -> Suggestion:
    """Suggest a memory limit: the largest peak with a margin, and never less than what killed it, plus a quarter."""
    peak = max(facts.daily_peaks, default=0)
    candidates = {
        f"largest of {len(facts.daily_peaks)} daily peaks and {MEMORY_MARGIN:.0%}": peak
        * (1 + MEMORY_MARGIN),
        "peak while starting": facts.start_peak * START_MARGIN,
        "killed for memory before": facts.killed_at * OOM_FACTOR,
        "model, runtime and the largest batch": float(facts.floor),
    }
    why = max(candidates, key=lambda reason: candidates[reason])
    days = len(facts.daily_peaks)
    return Suggestion(
        setting="resources.memory", value=float(math.ceil(candidates[why])), why=why,
        risk=f"without the margin a new day exceeds the largest of {days} days with chance"
        f" {1 / (days + 1):.1%}, whatever the distribution",
    )  # fmt: skip


def suggest_cpu(work_s_p99: float, threads: int, slowdown: float = 1.25) -> Suggestion:
    """Suggest a CPU limit under which the heaviest requests are not made much slower by throttling."""
    free_s = work_s_p99 / threads
    quota = next(
        (
            quota
            for quota in _QUOTAS
            if throttled_s(work_s_p99, quota, threads) <= slowdown * free_s
        ),
        float(threads),
    )
    took_s = throttled_s(work_s_p99, quota, threads)
    return Suggestion(
        setting="resources.cpu", value=quota,
        why=f"a p99 request of {work_s_p99 * 1000:.0f} CPU-ms on {threads} threads takes"
        f" {took_s * 1000:.0f} ms under this limit, {free_s * 1000:.0f} ms without one",
        risk="one request in a hundred works longer and may be throttled; requests that overlap share the limit",
    )  # fmt: skip


def throttled_s(work_s: float, quota: float, threads: int) -> float:
    """Return how long CPU work takes under a quota: whole periods are spent waiting once it is used up."""
    if quota >= threads:
        return work_s / threads
    budget_s = quota * CPU_PERIOD_S
    waits = math.ceil(work_s / budget_s - 1e-9) - 1
    return waits * CPU_PERIOD_S + (work_s - waits * budget_s) / threads


def suggest_replicas(facts: ServiceFacts, rows: int) -> Suggestion:
    """Suggest the replicas that carry the peak with room for its fluctuation."""
    batch_s = seconds_of(facts.curve, rows)
    rate = rows / batch_s
    count = replicas_for(facts.peak_per_s / rate, 0.0, rows, facts.utilisation)
    return Suggestion(
        setting="replicas", value=float(max(1, count)),
        why=f"{facts.peak_per_s:.3g} requests/s at the peak, {rate:.3g} from one replica"
        f" in batches of {rows}, used to {facts.utilisation:.0%} at most",
        risk=f"a peak {1 / facts.utilisation - 1:.0%} higher than any seen queues;"
        " losing one replica of few does so too" if count < 3
        else f"a peak {count * rate / max(facts.peak_per_s, 1e-9) - 1:.0%} higher than any seen queues",
    )  # fmt: skip


def suggest_batching(facts: ServiceFacts) -> tuple[Suggestion, Suggestion]:
    """Suggest the most rows of a batch, and how long a request may wait for company."""
    most_rows = facts.curve[-1][0]
    fitting = [
        rows for rows in range(1, most_rows + 1) if 2 * seconds_of(facts.curve, rows) <= facts.slo_s
    ] or [1]
    best = max(rows / seconds_of(facts.curve, rows) for rows in fitting)
    rows = next(rows for rows in fitting if rows / seconds_of(facts.curve, rows) >= KNEE * best)
    alone_per_s = 1 / seconds_of(facts.curve, 1)
    gain = best / alone_per_s
    slack_s = max(0.0, facts.slo_s - 2 * seconds_of(facts.curve, rows))
    fill_s = (rows - 1) / facts.peak_per_s if facts.peak_per_s > 0 else math.inf
    is_worth = gain > 1.2 and fill_s < slack_s and facts.peak_per_s > 0.5 * alone_per_s
    wait_ms = 1000 * min(fill_s, slack_s / 2) if is_worth else 0.0
    return (
        Suggestion(
            setting="batching.rows_max", value=float(rows),
            why=f"{KNEE:.0%} of the best throughput ({gain:.1f} times that of single requests)"
            f" within half of the objective of {facts.slo_s * 1000:.0f} ms",
            risk=f"a request may wait for one batch of {seconds_of(facts.curve, rows) * 1000:.0f} ms before its own",
        ),
        Suggestion(
            setting="batching.wait_ms_max", value=round(wait_ms, 3),
            why=f"a batch of {rows} fills in {fill_s * 1000:.0f} ms at the peak, and"
            f" {slack_s * 1000:.0f} ms are to spare" if facts.peak_per_s > 0
            else "there is no traffic to wait for",
            risk="every request waits up to that long where traffic is thin" if wait_ms
            else "none: a lone request is answered at once",
        ),
    )  # fmt: skip


def sleep_choices(gaps_s: Sequence[float], start_s: float) -> tuple[SleepChoice, ...]:
    """Return what each idle time would come to, from the gaps between this backend's own requests.

    The measured gaps count, not a rate: requests in bursts sleep better than the same number spread out.
    """
    ordered = sorted(gaps_s)
    whole_s = sum(ordered)
    if not ordered or whole_s <= 0:
        return ()
    choices = []
    for idle_s in _TIMEOUTS_S:
        longer = len(ordered) - bisect_right(ordered, idle_s)
        awake_s = sum(min(gap, idle_s) for gap in ordered) + longer * start_s
        choices.append(
            SleepChoice(
                idle_s=idle_s,
                cold_share=longer / len(ordered),
                awake_share=min(1.0, awake_s / whole_s),
            )
        )
    return tuple(choices)


def suggest_sleep(
    gaps_s: Sequence[float], start_s: float, cold_max: float = 0.02, saving_min: float = 0.1
) -> Suggestion:
    """Suggest after which idle time to sleep, or not to; 0 means to stay awake."""
    choices = sleep_choices(gaps_s, start_s)
    fitting = [choice for choice in choices if choice.cold_share <= cold_max]
    best = min(fitting, key=lambda choice: choice.awake_share, default=None)
    if best is None or best.awake_share > 1 - saving_min:
        return Suggestion(
            setting="scaling.idle_s", value=0.0,
            why=f"no idle time saves {saving_min:.0%} with at most {cold_max:.0%} of requests waiting for a start",
            risk="a replica is paid for while nobody asks",
        )  # fmt: skip
    return Suggestion(
        setting="scaling.idle_s", value=best.idle_s,
        why=f"awake {best.awake_share:.0%} of the time, as these {len(gaps_s)} requests came",
        risk=f"{best.cold_share:.1%} of requests wait about {start_s:.1f} s for a start",
    )  # fmt: skip


def break_even_per_s(
    replica_hour: float, busy_second: float, answer_s: float, cold: tuple[float, float]
) -> float:
    """Return the rate above which an always-on replica is cheaper than paying by the busy second.

    ``cold`` is the share of cold starts and their seconds. The result is infinite where seconds cost nothing.
    """
    share, start_s = cold
    per_request = (answer_s + share * start_s) * busy_second
    if per_request <= 0:
        return math.inf
    return replica_hour * HOURS_A_MONTH / (SECONDS_A_MONTH * per_request)


def seconds_of(curve: tuple[tuple[int, float], ...], rows: int) -> float:
    """Return the curve at this many rows: straight lines between points, flat before, the last slope after."""
    if rows <= curve[0][0] or len(curve) == 1:
        return curve[0][1]
    index = min(bisect_right([point[0] for point in curve], rows), len(curve) - 1)
    (low, low_s), (high, high_s) = curve[index - 1], curve[index]
    return low_s + (high_s - low_s) * (rows - low) / (high - low)
