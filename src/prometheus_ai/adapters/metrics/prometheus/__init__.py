"""Anything that speaks the HTTP API of Prometheus.

PromQL enters.
The number that it gives now leaves, or why it gives none.
It waits no longer than its timeout, and asks for no series without end.
"""

from prometheus_ai.adapters.metrics.prometheus.query import PrometheusQuery

__all__ = ["PrometheusQuery"]
