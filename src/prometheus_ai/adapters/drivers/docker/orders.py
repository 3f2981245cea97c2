"""From an order to the container that the engine is asked for; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_ai.adapters.drivers.docker.names import network_name
from prometheus_ai.domain.image import (
    GRPC_PORT,
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
    model_volume,
    pulled_volume,
)
from prometheus_ai.domain.image_spec import ContainerSpec
from prometheus_ai.domain.secret import SECRETS_FOLDER
from prometheus_ai.domain.server_config import (
    SECRETS_BYTES,
    container_command,
    container_environment,
    container_tmpfs,
    threads_of,
)
from prometheus_ai.ports.driver import ReplicaOrder


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
    threads = threads_of(resources.cpu)
    environment = container_environment(threads, has_secrets=bool(order.secrets))
    ports = (f"{HTTP_PORT}/tcp", f"{GRPC_PORT}/tcp")
    return {
        "Image": place.image,
        "User": f"{allowed.user}:{allowed.user}",
        "Cmd": [
            *container_command(),
            "--grpc-port",
            str(GRPC_PORT),
            *(("--secrets", SECRETS_FOLDER) if order.secrets else ()),
        ],
        "Env": [f"{name}={value}" for name, value in environment.items()],
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
        "ExposedPorts": {port: {} for port in ports},
        "StopSignal": "SIGTERM",
        "StopTimeout": max(1, round(release.spec.timeouts.drain_s)),
        # The platform asks the server itself; the engine's own checks would only cost.
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": network_name(place.home),
            "PortBindings": _published(ports, place.publish_on),
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
    folder, options = container_tmpfs(allowed)
    places = {folder: options}
    if has_secrets:
        owner = f"uid={allowed.user},gid={allowed.user},mode=0700"
        places[SECRETS_FOLDER] = f"rw,noexec,nosuid,nodev,size={SECRETS_BYTES},{owner}"
    return places


def _published(ports: Sequence[str], address: str) -> dict[str, Any]:
    return {port: [{"HostIp": address, "HostPort": ""}] for port in ports} if address else {}


def _mounts(order: ReplicaOrder, place: Place) -> list[dict[str, Any]]:
    weights = place.image_labels.get(LABEL_WEIGHTS)
    if weights == "pull":
        source = pulled_volume(place.home, order.id)
    elif weights == "mount":
        source = model_volume(place.home, order.release.inputs.model.digest)
    else:
        return []
    return [{"Type": "volume", "Source": source, "Target": MODEL_FOLDER, "ReadOnly": True}]


def _devices(gpus: Sequence[int]) -> list[dict[str, Any]]:
    if not gpus:
        return []
    ids = [str(gpu) for gpu in gpus]
    return [{"Driver": "nvidia", "DeviceIDs": ids, "Capabilities": [["gpu"]]}]
