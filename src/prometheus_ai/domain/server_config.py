"""What a model server is told about the release that it runs."""

import math
from typing import Any

from prometheus_ai.domain.image import CONFIG_FILE, HTTP_PORT
from prometheus_ai.domain.image_spec import ContainerSpec
from prometheus_ai.domain.release import Release
from prometheus_ai.domain.secret import SECRETS_FOLDER, SECRETS_VARIABLE

TMP_BYTES = 256 * 2**20
SECRETS_BYTES = 4 * 2**20
# Libraries that insist on a cache find one that is writable and forgotten with the container.
_CACHES = (
    "HOME",
    "XDG_CACHE_HOME",
    "MPLCONFIGDIR",
    "NUMBA_CACHE_DIR",
    "HF_HOME",
    "JOBLIB_TEMP_FOLDER",
)


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
    if spec.resources.gpu:
        # Without a GPU that its engine can use, the release fails to load rather than running on the CPU unasked.
        config["device"] = "cuda"
    if spec.recording is not None:
        kept = spec.recording
        config["recording"] = {
            "request_bytes_max": kept.request_bytes_max, "redact": list(kept.redact),
        }  # fmt: skip
    if spec.model.signature is not None:
        config["signature"] = spec.model.signature.model_dump(mode="json")
    return config


def threads_of(cpu: float) -> int:
    """Return the engine's threads for a share of cores."""
    return max(1, math.ceil(cpu))


def container_command() -> list[str]:
    """Return what a container runs behind its image's entry point."""
    listen = ("--host", "0.0.0.0", "--port", str(HTTP_PORT))  # noqa: S104 - inside its own network
    return ["serve", "--config", CONFIG_FILE, *listen]


def container_environment(threads: int, *, has_secrets: bool) -> dict[str, str]:
    """Return the variables of a container."""
    caches = dict.fromkeys(_CACHES, "/tmp")  # noqa: S108 - the container's own
    counts = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL")}
    secrets = {SECRETS_VARIABLE: SECRETS_FOLDER} if has_secrets else {}
    return {**caches, "TMPDIR": "/tmp", **counts, "ORT_TELEMETRY_DISABLED": "1", **secrets}  # noqa: S108 - as above


def container_tmpfs(allowed: ContainerSpec) -> tuple[str, str]:
    """Return folder and options of the one place that a container may write to."""
    execution = "noexec" if allowed.tmp_noexec else "exec"
    return "/tmp", f"rw,{execution},nosuid,nodev,size={TMP_BYTES},mode=1777"  # noqa: S108 - as above
