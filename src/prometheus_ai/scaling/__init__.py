"""Scaling: how many replicas a release needs, by demand and other targets.

Samples of demand, what is known of the release, a policy and the memory of earlier samples enter.
A number of replicas with its reasons leaves.
It never shrinks a release because measurements are missing, and never chooses which replica goes.
"""

from prometheus_ai.scaling.target import begin_scaling, target

__all__ = ["begin_scaling", "target"]
