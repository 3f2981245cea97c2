"""PROMETHEUS: the platform that manages containerized AI backends at scale.

Specs, people's commands and measured traffic enter; running, routed, reversible backends leave.
``from prometheus_ai import Client`` is the way in from Python; ``pai`` is the way in from a shell.
Nothing is imported before it is asked for, so that every process loads only what it needs.
"""

import importlib
from typing import Any as _Any

__all__ = ["Client", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> _Any:
    if name == "Client":
        return importlib.import_module("prometheus_ai.client").Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
