"""A recording: a backend's traffic and its measured replica, for the simulator."""

from dataclasses import dataclass
from functools import reduce
from typing import Any

from prometheus_ai.control.advise.measured import Measured, measure
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.cold_start import typical_s
from prometheus_ai.domain.window import Histogram

QUICK = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """What a simulation can be run on. Times are seconds from the first window."""

    backend: str
    version: str
    windows: tuple[tuple[float, float, int], ...]
    """Start, length and requests of each window in which there were any; those turned away included."""
    overhead_s: float
    """What gateway and parsing add to the engine's time: the quickest tenth of requests, less a single row."""
    curve: tuple[tuple[int, float], ...]
    """Rows and seconds of a batch; empty when no replica could say."""
    rows_max: int
    start_s: float
    spec: dict[str, Any]
    """The release's ``scaling`` and ``rollout`` sections, as they are."""


def recording(plane: Plane, name: str, version: str | None) -> Recording:
    """Return the recorded traffic of a backend, and what one replica of a release was measured to do.

    Raises:
        NotFound: the backend or the release does not exist.
    """
    found = measure(plane, name, version)
    windows = [window for window in found.windows if window.requests or window.rejected]
    begin = min((window.start for window in windows), default=plane.clock.now())
    spec = found.release.spec
    return Recording(
        backend=name,
        version=found.release.version,
        windows=tuple(
            (
                round((window.start - begin).total_seconds(), 3),
                round((window.end - window.start).total_seconds(), 3),
                window.requests + window.rejected,
            )
            for window in windows
        ),
        overhead_s=_overhead_s(found),
        curve=found.profile.curve if found.profile is not None else (),
        rows_max=spec.batching.rows_max,
        start_s=round(typical_s(found.starts), 3),
        spec=spec.model_dump(mode="json", include={"scaling", "rollout"}),
    )


def _overhead_s(found: Measured) -> float:
    if found.profile is None:
        return 0.0
    whole = reduce(Histogram.merge, (window.latency_s for window in found.windows), Histogram())
    quick_s = whole.quantile(QUICK)
    return round(max(0.0, quick_s - found.profile.curve[0][1]), 6) if quick_s else 0.0
