"""Suggestions for one backend: each from what was measured, each with the risk that it carries."""

import math
from dataclasses import dataclass
from itertools import pairwise

from prometheus_ai.control.advise.measured import Measured, measure
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.cold_start import typical_s
from prometheus_ai.domain.server_config import threads_of
from prometheus_ai.domain.window import Window
from prometheus_ai.scaling import (
    MemoryFacts,
    ServiceFacts,
    SleepChoice,
    Suggestion,
    break_even_per_s,
    objective_s,
    sleep_choices,
    suggest_batching,
    suggest_cpu,
    suggest_memory,
    suggest_replicas,
    suggest_sleep,
)
from prometheus_ai.simulate import recorded

HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What suggestions are made for."""

    slo_s: float | None = None
    """The latency objective; from the spec, or from the curve, when None."""
    replica_hour: float = 1.0
    """What an always-on replica costs by the hour, in any currency."""
    busy_second: float | None = None
    """What a busy second costs where one pays by it; a replica's own price when None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggested:
    """What a backend should be given."""

    backend: str
    version: str
    span_s: float
    """Of the traffic that was looked at."""
    rate_per_s: float
    peak_per_s: float
    """In the busiest window."""
    slo_s: float | None
    suggestions: tuple[Suggestion, ...]
    sleep: tuple[SleepChoice, ...]
    """What sleeping after each idle time would come to, by this backend's own requests."""
    break_even_per_s: float | None
    """Above this rate an always-on replica is cheaper than paying by the busy second; None: never."""
    missing: tuple[str, ...]
    """What could not be suggested, and what has to happen first."""


def suggest(plane: Plane, name: str, version: str | None, terms: Terms) -> Suggested:
    """Suggest replicas, CPU, memory, batching and sleep for a release.

    Raises:
        NotFound: the backend or the release does not exist.
    """
    found = measure(plane, name, version)
    trace = recorded(found.windows)
    gaps = [later - earlier for earlier, later in pairwise(trace.arrivals)]
    peak = max((_rate(window) for window in found.windows), default=0.0)
    slo_s = terms.slo_s or _objective(found)
    made: list[Suggestion] = []
    missing: list[str] = []
    if found.profile is None or slo_s is None:
        missing.append("replicas, CPU and batching: no ready replica has answered a request yet")
    else:
        facts = ServiceFacts(curve=found.profile.curve, peak_per_s=peak, slo_s=slo_s)
        rows, wait = suggest_batching(facts)
        cpu = suggest_cpu(*_work(found))
        made += [suggest_replicas(facts, max(1, int(rows.value))), rows, wait, cpu]
        if not found.windows:
            missing.append("replicas for the peak: no traffic was seen, so one is suggested")
    _add_memory(found, made, missing)
    start_s = typical_s(found.starts)
    choices = sleep_choices(gaps, start_s)
    if not choices:
        missing.append("sleep: fewer than two requests were seen")
    else:
        made.append(suggest_sleep(gaps, start_s))
        if not found.starts:
            missing.append(f"a start was never measured; {start_s:g} s is assumed")
    return Suggested(
        backend=name, version=found.release.version, span_s=round(trace.duration_s, 3),
        rate_per_s=trace.rate_per_s, peak_per_s=peak, slo_s=slo_s, suggestions=tuple(made),
        sleep=choices, break_even_per_s=_break_even(found, choices, start_s, terms),
        missing=tuple(missing),
    )  # fmt: skip


def _objective(found: Measured) -> float | None:
    scaling = found.release.spec.scaling
    declared_ms = scaling.latency.ms if scaling is not None and scaling.latency else None
    if found.profile is None:
        return declared_ms and declared_ms / 1000
    return objective_s(found.profile.curve, declared_ms)


def _work(found: Measured) -> tuple[float, int]:
    """Return the CPU seconds of the largest batch that was seen, as if all threads worked, and the threads."""
    assert found.profile is not None
    threads = threads_of(found.release.spec.resources.cpu)
    return found.profile.curve[-1][1] * threads, threads


def _add_memory(found: Measured, made: list[Suggestion], missing: list[str]) -> None:
    used = max((usage.memory_bytes for usage in found.usage), default=0)
    floor = found.profile.memory_bytes if found.profile is not None else 0
    if not (used or floor or found.killed_at_bytes):
        missing.append("memory: no replica runs that could be measured")
        return
    facts = MemoryFacts(
        daily_peaks=(used,) if used else (), killed_at=found.killed_at_bytes, floor=floor
    )
    made.append(suggest_memory(facts))
    missing.append("memory rests on one reading, taken now; read it again at the busiest time")


def _break_even(
    found: Measured, choices: tuple[SleepChoice, ...], start_s: float, terms: Terms
) -> float | None:
    answered = sum(window.latency_s.count for window in found.windows)
    if not answered or not choices:
        return None
    answer_s = sum(window.latency_s.sum for window in found.windows) / answered
    busy_second = terms.replica_hour / HOUR_S if terms.busy_second is None else terms.busy_second
    rate = break_even_per_s(
        terms.replica_hour, busy_second, answer_s, (choices[0].cold_share, start_s)
    )
    return rate if math.isfinite(rate) else None


def _rate(window: Window) -> float:
    span_s = (window.end - window.start).total_seconds()
    return (window.requests + window.rejected) / span_s if span_s > 0 else 0.0
