"""Simulation: the production deciders on a virtual clock.

Traces, measured service times, policies and a seed enter.
Latencies, misses, starts, replica-seconds and verdict times leave, the same for the same arguments.
It never reads a real clock, acts on the world or reimplements a decision.
"""

from prometheus_ai.simulate.described import TRAFFIC_FORMS, Terms, by_policy, contender, traffic
from prometheus_ai.simulate.drawing import page, plot, sparkline
from prometheus_ai.simulate.fleet import Limits, Ran, Reading, Scaler, simulate
from prometheus_ai.simulate.peers import Hpa, Knative
from prometheus_ai.simulate.results import Objective, Row, compare_scalers, summarise
from prometheus_ai.simulate.rollouts import Behaviour, RolledOut, Stage, simulate_rollout
from prometheus_ai.simulate.scalers import Fixed, Ours, production
from prometheus_ai.simulate.service import ServiceProfile
from prometheus_ai.simulate.trace import (
    Trace,
    bursts,
    diurnal,
    on_off,
    parse_trace,
    poisson,
    recorded,
    recorded_spans,
)
from prometheus_ai.simulate.verdicts import VerdictTime, verdict_times

__all__ = [
    "TRAFFIC_FORMS",
    "Behaviour",
    "Fixed",
    "Hpa",
    "Knative",
    "Limits",
    "Objective",
    "Ours",
    "Ran",
    "Reading",
    "RolledOut",
    "Row",
    "Scaler",
    "ServiceProfile",
    "Stage",
    "Terms",
    "Trace",
    "VerdictTime",
    "bursts",
    "by_policy",
    "compare_scalers",
    "contender",
    "diurnal",
    "on_off",
    "page",
    "parse_trace",
    "plot",
    "poisson",
    "production",
    "recorded",
    "recorded_spans",
    "simulate",
    "simulate_rollout",
    "sparkline",
    "summarise",
    "traffic",
    "verdict_times",
]
