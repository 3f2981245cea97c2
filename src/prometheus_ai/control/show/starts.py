"""Cold starts as people see them: item by item, in the middle of what was measured."""

import statistics
from collections.abc import Sequence

from prometheus_ai.control.show.views import StartsView
from prometheus_ai.domain.cold_start import ColdStart, expected_s, typical_s


def starts_view(starts: Sequence[ColdStart]) -> StartsView | None:
    """Describe remembered starts; None when there are none."""
    if not starts:
        return None
    return StartsView(
        count=len(starts),
        typical_s=round(typical_s(starts), 3),
        expected_s=round(expected_s(starts), 3),
        schedule_s=_middle([start.schedule_s for start in starts]),
        environment_s=_middle([start.environment_s for start in starts]),
        load_s=_middle([start.load_s for start in starts]),
        warm_up_s=_middle([start.warm_up_s for start in starts]),
    )


def starts_line(starts: Sequence[ColdStart]) -> str:
    """Say in a line what a start takes; empty when none was seen."""
    view = starts_view(starts)
    if view is None:
        return ""
    return (
        f"a start takes {view.typical_s:.2f} s, {view.expected_s:.2f} s at most nine times out of ten"
        f" ({view.count} seen: schedule {view.schedule_s:.2f}, environment {view.environment_s:.2f},"
        f" load {view.load_s:.2f}, warm-up {view.warm_up_s:.2f} s)"
    )


def _middle(values: Sequence[float]) -> float:
    return round(statistics.median(values), 3)
