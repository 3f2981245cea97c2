"""PROMETHEUS: the platform that manages containerized AI backends at scale.

Specs, people's commands and measured traffic enter; running, routed, reversible backends leave.
``Client`` in ``prometheus_ai.client`` is the way in from Python; ``pai`` is the way in from a shell.
Nothing is imported here, so that every process loads only what it needs.
"""

__version__ = "0.1.0"
