"""What a model server is told about the release that it runs."""

import math
from typing import Any

from prometheus_ai.domain.release import Release


def server_config(release: Release, model_path: str) -> dict[str, Any]:
    """Return CONFIG.json, as ``docs/architecture/02-wire.md`` states it."""
    spec = release.spec
    config: dict[str, Any] = {
        "name": release.backend,
        "version": release.version,
        "release": f"{release.id}@{release.digest}",
        "path": model_path,
        "engine": release.inputs.engine,
        "allow_pickle": spec.model.allow_pickle,
        "batching": spec.batching.model_dump(),
        "limits": {"request_bytes_max": spec.limits.request_bytes_max},
        "timeouts": spec.timeouts.model_dump(),
        "threads": threads_of(spec.resources.cpu),
    }
    if spec.model.signature is not None:
        config["signature"] = spec.model.signature.model_dump(mode="json")
    return config


def threads_of(cpu: float) -> int:
    """Return the engine's threads for a share of cores."""
    return max(1, math.ceil(cpu))
