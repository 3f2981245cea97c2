"""Analysis: what two releases did side by side, and what may be concluded from it.

Intervals of measurements of a candidate and its concurrent baseline enter.
Evidence that can be resumed, comparisons with their numbers, and attributions of faults leave.
It never decides what to do, reads a clock or calls missing data good.
"""

from prometheus_ai.analysis.agreement import agree
from prometheus_ai.analysis.compare import (
    EvidenceState,
    bars_of,
    begin_evidence,
    compare,
    exclude_replica,
    observe,
    start_step,
)
from prometheus_ai.analysis.outputs import OutputDistance, distance
from prometheus_ai.analysis.past import Past, Worse, worse_than
from prometheus_ai.analysis.results import Bars, requests_to_clear, requests_to_see
from prometheus_ai.analysis.slowness import Regression, hour_of_week, regression

__all__ = [
    "Bars",
    "EvidenceState",
    "OutputDistance",
    "Past",
    "Regression",
    "Worse",
    "agree",
    "bars_of",
    "begin_evidence",
    "compare",
    "distance",
    "exclude_replica",
    "hour_of_week",
    "observe",
    "regression",
    "requests_to_clear",
    "requests_to_see",
    "start_step",
    "worse_than",
]
