"""Scaling: how many replicas a release needs, by demand and other targets, and what each should be given.

Samples of demand, what is known of the release, a policy and the memory of earlier samples enter.
A number of replicas with its reasons, and suggestions with their risks, leave.
It never shrinks a release because measurements are missing, and never chooses which replica goes.
"""

from prometheus_ai.scaling.capacity import capacity, objective_s
from prometheus_ai.scaling.suggest import (
    MemoryFacts,
    ServiceFacts,
    SleepChoice,
    Suggestion,
    break_even_per_s,
    sleep_choices,
    suggest_batching,
    suggest_cpu,
    suggest_memory,
    suggest_replicas,
    suggest_sleep,
    throttled_s,
)
from prometheus_ai.scaling.target import begin_scaling, target

__all__ = [
    "MemoryFacts",
    "ServiceFacts",
    "SleepChoice",
    "Suggestion",
    "begin_scaling",
    "break_even_per_s",
    "capacity",
    "objective_s",
    "sleep_choices",
    "suggest_batching",
    "suggest_cpu",
    "suggest_memory",
    "suggest_replicas",
    "suggest_sleep",
    "target",
    "throttled_s",
]
