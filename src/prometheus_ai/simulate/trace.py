"""Traffic to simulate: synthetic with a seed, from a file, or from recorded windows."""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.window import Window

ARRIVALS_MAX = 20_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """Arrival times in seconds from the start, sorted."""

    name: str
    arrivals: Sequence[float]
    duration_s: float

    @property
    def rate_per_s(self) -> float:
        """Requests per second over the whole trace."""
        return len(self.arrivals) / self.duration_s if self.duration_s else 0.0


def poisson(rate_per_s: float, duration_s: float, seed: int = 0) -> Trace:
    """Return independent arrivals at one rate."""
    return _varying("poisson", lambda _: rate_per_s, rate_per_s, duration_s, seed)


def diurnal(
    low_per_s: float, high_per_s: float, duration_s: float, seed: int = 0, days: int = 1
) -> Trace:
    """Return days pressed into the duration: quiet nights, a rise, a broad peak in the afternoon."""
    period_s = duration_s / days

    def rate(at_s: float) -> float:
        wave = (1 - math.cos(2 * math.pi * (at_s % period_s) / period_s)) / 2
        return low_per_s + (high_per_s - low_per_s) * float(wave**1.5)

    return _varying("diurnal", rate, high_per_s, duration_s, seed)


def bursts(
    base_per_s: float, factor: float, duration_s: float, every_s: float, seed: int = 0
) -> Trace:
    """Return a base rate with bursts of a sixth of ``every_s`` that multiply it."""

    def rate(at_s: float) -> float:
        is_burst = at_s % every_s >= every_s * 5 / 6
        return base_per_s * (factor if is_burst else 1.0)

    return _varying("bursts", rate, base_per_s * factor, duration_s, seed)


def on_off(rate_per_s: float, on_s: float, off_s: float, duration_s: float, seed: int = 0) -> Trace:
    """Return a rate that is there for a while and then not at all."""

    def rate(at_s: float) -> float:
        return rate_per_s if at_s % (on_s + off_s) < on_s else 0.0

    return _varying("on-off", rate, rate_per_s, duration_s, seed)


def parse_trace(lines: Iterable[str], name: str = "trace") -> Trace:
    """Read one arrival a line: seconds, with a count after a comma where several came at once.

    Raises:
        InvalidInput: a line is not a number, or times go back.
    """
    arrivals: list[float] = []
    first: float | None = None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        time_text, _, count_text = text.partition(",")
        try:
            at, count = float(time_text), int(count_text or 1)
        except ValueError as error:
            raise InvalidInput(
                f"line {number} of the trace is {text!r}, not `seconds` or `seconds,count`",
                hint="write one arrival a line, such as 12.5 or 12.5,3",
            ) from error
        first = at if first is None else first
        if arrivals and at - first < arrivals[-1]:
            raise InvalidInput(f"line {number} of the trace goes back in time: {text!r}")
        if count < 0 or len(arrivals) + count > ARRIVALS_MAX:
            raise InvalidInput(f"line {number}: more than {ARRIVALS_MAX} arrivals, or fewer than 0")
        arrivals.extend([at - first] * count)
    duration_s = arrivals[-1] + 1.0 if arrivals else 0.0
    return Trace(name=name, arrivals=arrivals, duration_s=duration_s)


def recorded(windows: Sequence[Window], name: str = "recorded", seed: int = 0) -> Trace:
    """Return arrivals that fill recorded windows: as many as were counted, at random times inside each."""
    if not windows:
        return Trace(name=name, arrivals=(), duration_s=0.0)
    start = min(window.start for window in windows)
    spans = [
        (
            (window.start - start).total_seconds(),
            (window.end - window.start).total_seconds(),
            window.requests + window.rejected,
        )
        for window in windows
    ]
    return recorded_spans(spans, name, seed)


def recorded_spans(
    spans: Sequence[tuple[float, float, int]], name: str = "recorded", seed: int = 0
) -> Trace:
    """Return arrivals that fill spans of start, length and requests, at random times inside each."""
    chance = random.Random(seed)
    arrivals = sorted(
        start_s + chance.random() * length_s
        for start_s, length_s, count in spans
        for _ in range(count)
    )
    end_s = max((start_s + length_s for start_s, length_s, _ in spans), default=0.0)
    return Trace(name=name, arrivals=arrivals, duration_s=end_s)


def _varying(
    name: str, rate: Callable[[float], float], most: float, duration_s: float, seed: int
) -> Trace:
    """Draw a Poisson process of a varying rate by thinning (Lewis and Shedler 1979)."""
    chance = random.Random(seed)
    arrivals: list[float] = []
    at_s = 0.0
    while most > 0:
        at_s += chance.expovariate(most)
        if at_s >= duration_s:
            break
        if chance.random() * most <= rate(at_s):
            arrivals.append(at_s)
    return Trace(name=name, arrivals=arrivals, duration_s=duration_s)
