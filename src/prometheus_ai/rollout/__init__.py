"""Rollouts: how a candidate takes over from a stable release, step by step, and how it gives back.

A comparison, a plan, readiness and commands of people enter.
Verdicts, plans that fit, and decisions about weights and replicas leave.
It never measures, moves traffic itself or gives traffic to a release that is not ready.
"""

from prometheus_ai.rollout.judge import judge
from prometheus_ai.rollout.room import Ground, Room, plan_rollout
from prometheus_ai.rollout.shape import step_plan
from prometheus_ai.rollout.steps import begin, next_plan_step, next_step, supersede

__all__ = [
    "Ground",
    "Room",
    "begin",
    "judge",
    "next_plan_step",
    "next_step",
    "plan_rollout",
    "step_plan",
    "supersede",
]
