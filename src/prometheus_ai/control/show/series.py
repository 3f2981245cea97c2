"""What releases did over time, in a bounded number of points."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_ai.control.plane import Plane
from prometheus_ai.control.show.status import existing
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.window import Window
from prometheus_ai.telemetry import summarize

POINTS_MAX = 500
SPAN_S_MAX = 30 * 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesPoint:
    """What one release did in one stretch; a percentile is None when too few requests support it."""

    at: datetime
    """The middle of the stretch."""
    span_s: float
    requests: int
    errors: int
    rate_per_s: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One release over time, oldest point first."""

    version: str
    points: tuple[SeriesPoint, ...]


def series(plane: Plane, name: str, span_s: float, points: int) -> tuple[Series, ...]:
    """Return what each release of a backend did in the last ``span_s`` seconds.

    Raises:
        NotFound: there is no such backend.
        InvalidInput: the span or the number of points is out of bounds.
    """
    if not 1 <= span_s <= SPAN_S_MAX or not 1 <= points <= POINTS_MAX:
        raise InvalidInput(
            f"a span of {span_s:g} s in {points} points is out of bounds",
            hint=f"ask for 1 to {SPAN_S_MAX:g} seconds in 1 to {POINTS_MAX} points",
        )
    now = plane.clock.now()
    with plane.store.read() as reading:
        existing(reading, name)
        found = reading.windows(now - timedelta(seconds=span_s), name)
    return series_of(found, now - timedelta(seconds=span_s), now, points)


def series_of(
    windows: list[Window], start: datetime, end: datetime, points: int
) -> tuple[Series, ...]:
    """Merge windows into so many stretches of equal length between two times."""
    step_s = max((end - start).total_seconds() / points, 0.001)
    grouped: dict[tuple[str, int], list[Window]] = defaultdict(list)
    for window in windows:
        if window.end <= end:
            middle = window.start + (window.end - window.start) / 2
            grouped[window.version, int((middle - start).total_seconds() // step_s)].append(window)
    by_version: dict[str, list[SeriesPoint]] = defaultdict(list)
    for version, slot in sorted(grouped):
        by_version[version].append(_point(grouped[version, slot]))
    return tuple(
        Series(version=version, points=tuple(found)) for version, found in by_version.items()
    )


def _point(windows: list[Window]) -> SeriesPoint:
    whole = summarize(windows)
    start = min(window.start for window in windows)
    return SeriesPoint(
        at=start + timedelta(seconds=whole.span_s / 2),
        span_s=whole.span_s,
        requests=whole.requests,
        errors=whole.errors,
        rate_per_s=whole.requests / whole.span_s if whole.span_s > 0 else 0.0,
        p50_ms=whole.p50_ms,
        p95_ms=whole.p95_ms,
        p99_ms=whole.p99_ms,
    )
