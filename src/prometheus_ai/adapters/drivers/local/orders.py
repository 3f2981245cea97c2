"""From a release to what the shim and the model server read; pure."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_ai.adapters.drivers.local.folder import SECRETS, Order
from prometheus_ai.adapters.drivers.local.machine import Machine
from prometheus_ai.adapters.drivers.local.orphans import FOLDER_VARIABLE
from prometheus_ai.domain.secret import SECRETS_VARIABLE
from prometheus_ai.domain.server_config import threads_of
from prometheus_ai.ports.driver import ReplicaOrder


def order_of(
    order: ReplicaOrder,
    *,
    folder: Path,
    environment: Path,
    machine: Machine,
    gpus: tuple[int, ...],
    log_bytes_max: int,
) -> Order:
    """Return what the shim needs to start and bound the server."""
    release, spec = order.release, order.release.spec
    python, command = environment / "bin" / "python", environment / "bin" / "pai-runtime"
    listen = ("--host", "127.0.0.1", "--port", "0", "--grpc-port", "0")
    files = ("--config", str(folder / "config.json"), "--announce", str(folder / "announce.json"))
    return Order(
        id=order.id,
        backend=release.backend,
        version=release.version,
        release=release.digest,
        created_at=datetime.now(UTC).isoformat(),
        # Isolated, and without writing bytecode: the environment is shared and must not change.
        argv=(str(python), "-I", "-B", str(command), "serve", *listen, *files),
        env={
            **_environment(folder, environment, threads_of(spec.resources.cpu), gpus),
            **({SECRETS_VARIABLE: str(folder / SECRETS)} if order.secrets else {}),
        },
        cwd=str(folder / "home"),
        limits={"cpu": spec.resources.cpu, "memory_bytes": spec.resources.memory_bytes},
        cgroups=_groups(machine, folder),
        environment=environment.name,
        gpus=gpus,
        grace_s=spec.timeouts.drain_s,
        progress_s=spec.timeouts.progress_s,
        log_bytes_max=log_bytes_max,
    )


def _groups(machine: Machine, folder: Path) -> Mapping[str, Any]:
    """Name the replica's control groups; another installation may have a replica of the same id."""
    if not machine.cgroups:
        return {}
    unique = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return {**machine.cgroups, "name": f"pai-{folder.name}-{unique}"}


def _environment(
    folder: Path, environment: Path, threads: int, gpus: tuple[int, ...]
) -> Mapping[str, str]:
    """Return the whole environment of a server: nothing of the control plane's is in it."""
    count = str(threads)
    return {
        "PATH": f"{environment / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "CUDA_VISIBLE_DEVICES": ",".join(str(gpu) for gpu in gpus),
        FOLDER_VARIABLE: str(folder),
    }
