"""Measurements: from cumulative readings to mergeable windows and honest summaries.

Readings of the gateway's counters and stored windows enter.
Windows, merged windows and summaries leave.
It never averages percentiles, invents missing data or reports a percentile of too few requests.
"""

from prometheus_ai.telemetry.summary import Summary, summarize
from prometheus_ai.telemetry.windows import merge_windows, windows_between

__all__ = ["Summary", "merge_windows", "summarize", "windows_between"]
