"""Reconciliation: what is wanted against what is seen.

Desired state, records and observations of one backend enter.
Actions, release transitions and the weights that may be in force leave.
It never acts, waits, reads a clock or knows a driver.
"""

from prometheus_ai.reconcile.advance import (
    Step,
    advance,
    rescale,
    weights_to_serve,
    without_failed,
)
from prometheus_ai.reconcile.plan import Plan, plan
from prometheus_ai.reconcile.table import backend_route
from prometheus_ai.reconcile.view import BackendView, ReleaseView, versions_of

__all__ = [
    "BackendView",
    "Plan",
    "ReleaseView",
    "Step",
    "advance",
    "backend_route",
    "plan",
    "rescale",
    "versions_of",
    "weights_to_serve",
    "without_failed",
]
