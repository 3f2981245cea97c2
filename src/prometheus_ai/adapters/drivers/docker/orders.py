"""From an order to the container that the engine is asked for; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_ai.adapters.drivers.docker.names import network_name, volume_name
from prometheus_ai.domain.image import (
    CONFIG_FILE,
    HTTP_PORT,
    LABEL_BACKEND,
    LABEL_GPUS,
    LABEL_HOME,
    LABEL_PROGRESS,
    LABEL_RELEASE,
    LABEL_REPLICA,
    LABEL_TARGET,
    LABEL_VERSION,
    LABEL_WEIGHTS,
    MODEL_FOLDER,
)
from prometheus_ai.domain.image_spec import ContainerSpec
from prometheus_ai.domain.secret_spec import SECRETS_FOLDER, SECRETS_VARIABLE
from prometheus_ai.domain.server_config import threads_of
from prometheus_ai.ports.driver import ReplicaOrder

TMP_BYTES = 256 * 2**20
SECRETS_BYTES = 4 * 2**20
_SERVE = ("serve", "--config", CONFIG_FILE, "--host", "0.0.0.0", "--port", str(HTTP_PORT))  # noqa: S104 - inside its own network
# Libraries that insist on a cache find one that is writable and forgotten with the container.
_CACHES = (
    "HOME",
    "XDG_CACHE_HOME",
    "MPLCONFIGDIR",
    "NUMBA_CACHE_DIR",
    "HF_HOME",
    "JOBLIB_TEMP_FOLDER",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where on the engine a container goes, and how."""

    home: str
    target: str
    image: str
    """The image's id, never a tag: tags move."""
    image_labels: Mapping[str, str]
    has_init: bool
    gpus: tuple[int, ...] = ()
    publish_on: str = ""
    """Address on which its port is published, for an engine whose networks are out of reach; empty for none."""
    log_driver: str = "json-file"
    log_options: Mapping[str, str] | None = None


def container_of(order: ReplicaOrder, place: Place) -> dict[str, Any]:
    """Return the body of ``POST /containers/create``."""
    release, resources = order.release, order.release.spec.resources
    allowed = release.spec.container or ContainerSpec()
    port = f"{HTTP_PORT}/tcp"
    return {
        "Image": place.image,
        "User": f"{allowed.user}:{allowed.user}",
        "Cmd": [*_SERVE, *(("--secrets", SECRETS_FOLDER) if order.secrets else ())],
        "Env": _environment(threads_of(resources.cpu), has_secrets=bool(order.secrets)),
        # Secrets come through standard input, which the engine does not keep and nobody can read again.
        "OpenStdin": bool(order.secrets),
        "StdinOnce": bool(order.secrets),
        "Labels": {
            LABEL_HOME: place.home,
            LABEL_TARGET: place.target,
            LABEL_REPLICA: order.id,
            LABEL_BACKEND: release.backend,
            LABEL_VERSION: release.version,
            LABEL_RELEASE: f"{release.id}@{release.digest}",
            LABEL_PROGRESS: f"{release.spec.timeouts.progress_s:g}",
            LABEL_GPUS: ",".join(str(gpu) for gpu in place.gpus),
        },
        "ExposedPorts": {port: {}},
        "StopSignal": "SIGTERM",
        "StopTimeout": max(1, round(release.spec.timeouts.drain_s)),
        # The platform asks the server itself; the engine's own checks would only cost.
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": network_name(place.home),
            "PortBindings": _published(port, place.publish_on),
            "ReadonlyRootfs": allowed.read_only_root,
            "Tmpfs": _tmpfs(allowed, has_secrets=bool(order.secrets)),
            "CapDrop": ["ALL"],
            "CapAdd": list(allowed.capabilities),
            "SecurityOpt": _security(allowed),
            "PidsLimit": allowed.pids,
            "Memory": resources.memory_bytes,
            "MemorySwap": resources.memory_bytes,
            "NanoCpus": int(resources.cpu * 10**9),
            "Init": place.has_init,
            "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
            "OomScoreAdj": 300,
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": place.log_driver, "Config": dict(place.log_options or {})},
            "Mounts": _mounts(order, place),
            "DeviceRequests": _devices(place.gpus),
        },
    }


def _security(allowed: ContainerSpec) -> list[str]:
    options = ["no-new-privileges"] if allowed.no_new_privileges else []
    return [*options, "seccomp=unconfined"] if allowed.seccomp == "unconfined" else options


def _tmpfs(allowed: ContainerSpec, *, has_secrets: bool) -> dict[str, str]:
    flags = "rw,noexec,nosuid,nodev"
    for_tmp = flags if allowed.tmp_noexec else flags.replace("noexec", "exec")
    places = {"/tmp": f"{for_tmp},size={TMP_BYTES},mode=1777"}  # noqa: S108 - the container's own
    if has_secrets:
        owner = f"uid={allowed.user},gid={allowed.user},mode=0700"
        places[SECRETS_FOLDER] = f"{flags},size={SECRETS_BYTES},{owner}"
    return places


def _environment(threads: int, *, has_secrets: bool) -> list[str]:
    secrets = [f"{SECRETS_VARIABLE}={SECRETS_FOLDER}"] if has_secrets else []
    caches = [f"{name}=/tmp" for name in _CACHES]
    counts = [f"{name}_NUM_THREADS={threads}" for name in ("OMP", "OPENBLAS", "MKL")]
    return [*caches, "TMPDIR=/tmp", *counts, "ORT_TELEMETRY_DISABLED=1", *secrets]


def _published(port: str, address: str) -> dict[str, Any]:
    return {port: [{"HostIp": address, "HostPort": ""}]} if address else {}


def _mounts(order: ReplicaOrder, place: Place) -> list[dict[str, Any]]:
    if place.image_labels.get(LABEL_WEIGHTS) != "mount":
        return []
    source = volume_name(place.home, order.release.inputs.model.digest)
    return [{"Type": "volume", "Source": source, "Target": MODEL_FOLDER, "ReadOnly": True}]


def _devices(gpus: Sequence[int]) -> list[dict[str, Any]]:
    if not gpus:
        return []
    ids = [str(gpu) for gpu in gpus]
    return [{"Driver": "nvidia", "DeviceIDs": ids, "Capabilities": [["gpu"]]}]
