"""Engines: what executes a model.

A model file and a load request enter.
A loaded model with its signature leaves.
They never see HTTP, queues or other models, and never reach the network.
"""

from prometheus_ai_runtime.engines.loading import load

__all__ = ["load"]
