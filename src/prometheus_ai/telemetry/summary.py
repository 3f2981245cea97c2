"""Summaries that people read: percentiles only where enough requests stand behind them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from prometheus_ai.domain.window import Histogram, Window

P95_SAMPLES_MIN = 60
P99_SAMPLES_MIN = 300
"""With 95 % chance, this many requests include one beyond the percentile."""

_MS_PER_S = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What some windows say together. A percentile is None when too few requests stand behind it."""

    requests: int
    errors: int
    client_errors: int
    rejected: int
    retries: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    span_s: float
    """From the first start to the last end."""

    @property
    def error_rate(self) -> float | None:
        """Return errors per request; None without requests."""
        return self.errors / self.requests if self.requests else None

    @property
    def rate_per_s(self) -> float:
        """Return requests per second over the span; zero for an empty span."""
        return self.requests / self.span_s if self.span_s else 0.0


def summarize(windows: Iterable[Window]) -> Summary:
    """Return what windows say together; counts add, histograms merge, nothing is averaged."""
    found = list(windows)
    latency = reduce(Histogram.merge, (window.latency_s for window in found), Histogram())
    span_s = 0.0
    if found:
        first, last = min(window.start for window in found), max(window.end for window in found)
        span_s = (last - first).total_seconds()
    return Summary(
        requests=sum(window.requests for window in found),
        errors=sum(window.errors for window in found),
        client_errors=sum(window.client_errors for window in found),
        rejected=sum(window.rejected for window in found),
        retries=sum(window.retries for window in found),
        p50_ms=_quantile_ms(latency, 0.5, 1),
        p95_ms=_quantile_ms(latency, 0.95, P95_SAMPLES_MIN),
        p99_ms=_quantile_ms(latency, 0.99, P99_SAMPLES_MIN),
        span_s=span_s,
    )


def _quantile_ms(latency: Histogram, q: float, samples_min: int) -> float | None:
    if latency.count < samples_min:
        return None
    value_s = latency.quantile(q)
    return None if value_s is None else value_s * _MS_PER_S
