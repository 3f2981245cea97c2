"""Looking at a model file on this machine, with or without a running platform."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus_ai.adapters.environments.uv import UvEnvironments
from prometheus_ai.adapters.inspectors.runtime import RuntimeInspector
from prometheus_ai.compose.gate import refuse_unsafe
from prometheus_ai.compose.settings import Settings


def inspect_file(
    settings: Settings, path: Path, *, engine: str | None, allow_pickle: bool
) -> Mapping[str, Any]:
    """Say what a model is; an engine that is missing here gets an environment in the home folder.

    Raises:
        InvalidInput: the file is no model that an engine can load; says why.
        Refused: it would run unknown code.
        Unavailable: the engine's environment cannot be made, or looking took too long.
    """
    if allow_pickle:
        refuse_unsafe(path)
    environments = UvEnvironments(settings.environments, index_url=settings.index_url)
    inspector = RuntimeInspector(environments)
    return inspector.inspect(path.absolute(), engine=engine, allow_pickle=allow_pickle)
