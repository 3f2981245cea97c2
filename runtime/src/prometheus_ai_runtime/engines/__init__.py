"""Engines: what executes a model.

A model file and a load request enter.
A loaded model with its signature leaves.
They never see HTTP, queues or other models, and never reach the network.
"""

import importlib
from dataclasses import dataclass, replace
from typing import Protocol, cast

from prometheus_ai_runtime.detect import ENGINES, detect
from prometheus_ai_runtime.engines.base import EngineError, LoadedModel, LoadRequest


class Engine(Protocol):
    """What each module of this package offers."""

    OPTIONS: frozenset[str]

    def load(self, request: LoadRequest) -> LoadedModel:
        """Load one model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Choice:
    name: str
    engine: Engine


def load(engine: str | None, request: LoadRequest) -> LoadedModel:
    """Load a model with the named engine, or with the one its file calls for.

    Raises EngineError, or its EngineMissing or UnsafeFormat; nothing else.
    """
    path = request.path.expanduser()
    choice = _choose(engine or detect(path))
    _refuse_unknown_options(choice, request)
    try:
        return choice.engine.load(replace(request, path=path))
    except EngineError:
        raise
    except Exception as error:
        # A damaged file makes a library raise anything at all; the caller gets one kind of error.
        raise EngineError(
            f"the {choice.name} engine could not load {path}: {type(error).__name__}: {_told(error)}; "
            "check that the file is complete and was written by a version that is installed here"
        ) from error


def _told(error: Exception) -> str:
    """Return what a library says, without the stack of its own functions that some append."""
    return str(error).partition("\nStack trace:")[0].strip()


def _choose(name: str) -> _Choice:
    if name not in ENGINES:
        raise EngineError(f"engine {name!r} is not known; use one of {', '.join(ENGINES)}")
    module = importlib.import_module(f"prometheus_ai_runtime.engines.{name}")
    return _Choice(name=name, engine=cast(Engine, module))


def _refuse_unknown_options(choice: _Choice, request: LoadRequest) -> None:
    unknown = sorted(set(request.options) - choice.engine.OPTIONS)
    if unknown:
        known = ", ".join(sorted(choice.engine.OPTIONS)) or "none"
        raise EngineError(
            f"option {unknown[0]!r} is not known to the {choice.name} engine; it has: {known}"
        )
