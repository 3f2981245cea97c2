"""The one place that loads modules by name: libraries and fronts that are extras and may be absent."""

import importlib
from typing import Any


def load_optional(name: str) -> Any:
    """Import a module by name; raises ImportError like an import statement."""
    return importlib.import_module(name)
