"""A Compose file that runs a release without the platform; pure."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML

from prometheus_ai.build.compose_gateway import GATEWAY_PORT, SERVER, gateway_config
from prometheus_ai.domain.image import HTTP_PORT, MODEL_FOLDER, model_volume
from prometheus_ai.domain.image_spec import ContainerSpec
from prometheus_ai.domain.release import Release
from prometheus_ai.domain.secret import SECRETS_FOLDER
from prometheus_ai.domain.server_config import (
    container_command,
    container_environment,
    container_tmpfs,
    threads_of,
)

COMPOSE_FILE = "compose.yaml"
GATEWAY_FILE = "gateway.json"
README = "README.md"
ENVOY_IMAGE = "envoyproxy/envoy:distroless-v1.40.0"
"""The version that the platform itself brings and is tested with."""
_PYTHON = "/opt/pai/venv/bin/python"
_NOT_ROOT = "65532:65532"


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What runs, and where it is on the engine."""

    release: Release
    replicas: int
    home: str
    image: str
    """The image's tag."""
    is_mounted: bool
    """Whether the model is in a volume of its own, and not in the image."""
    log_driver: str = "json-file"
    log_options: Mapping[str, str] = field(default_factory=dict)


def compose_files(exported: Exported) -> Mapping[str, str]:
    """Return the files of a folder in which ``docker compose up`` runs the release, by name."""
    release = exported.release
    stream = io.StringIO()
    yaml = YAML()
    yaml.width = 200
    yaml.dump(_compose(exported), stream)
    head = (
        f"# {release.id}, exported: runs without PROMETHEUS. See {README}.\n"
        f"# Release {release.digest}\n"
    )
    return {
        COMPOSE_FILE: head + stream.getvalue(),
        GATEWAY_FILE: json.dumps(gateway_config(release), indent=2) + "\n",
        README: _readme(exported),
    }


def _compose(exported: Exported) -> dict[str, Any]:
    secrets = exported.release.spec.secrets
    told: dict[str, Any] = {
        "services": {SERVER: _server(exported), "gateway": _gateway(exported)},
        # Replicas reach nothing outside; only the gateway is on a network with a way out.
        "networks": {"inside": {"internal": True}, "outside": {}},
    }
    if exported.is_mounted:
        name = model_volume(exported.home, exported.release.inputs.model.digest)
        told["volumes"] = {"model": {"external": True, "name": name}}
    if secrets:
        told["secrets"] = {name: {"file": f"./secrets/{name}"} for name in secrets}
    return told


def _server(exported: Exported) -> dict[str, Any]:
    spec = exported.release.spec
    allowed = spec.container or ContainerSpec()
    folder, options = container_tmpfs(allowed)
    server: dict[str, Any] = {
        "image": exported.image,
        "command": container_command(),
        "environment": container_environment(
            threads_of(spec.resources.cpu), has_secrets=bool(spec.secrets)
        ),
        **_hardened(allowed),
        "tmpfs": [f"{folder}:{options}"],
        "mem_limit": spec.resources.memory_bytes,
        "memswap_limit": spec.resources.memory_bytes,
        "cpus": spec.resources.cpu,
        "stop_grace_period": f"{max(1, round(spec.timeouts.drain_s))}s",
        "healthcheck": _healthcheck(spec.timeouts.startup_s),
        "networks": ["inside"],
        "logging": _logging(exported),
        "deploy": {"replicas": exported.replicas},
    }
    if exported.is_mounted:
        server["volumes"] = [f"model:{MODEL_FOLDER}:ro"]
    if spec.secrets:
        server["secrets"] = list(spec.secrets)
    if spec.resources.gpu:
        device = {"driver": "nvidia", "count": spec.resources.gpu, "capabilities": ["gpu"]}
        server["deploy"]["resources"] = {"reservations": {"devices": [device]}}
    return server


def _gateway(exported: Exported) -> dict[str, Any]:
    return {
        "image": f"${{PAI_ENVOY_IMAGE:-{ENVOY_IMAGE}}}",
        "entrypoint": ["envoy"],
        "command": [
            "--config-path", f"/etc/pai/{GATEWAY_FILE}", "--disable-hot-restart",
            "--concurrency", "1", "--log-level", "warning",
        ],
        **_hardened(ContainerSpec()),
        "user": _NOT_ROOT,
        "tmpfs": ["/tmp:rw,noexec,nosuid,nodev,size=16777216,mode=1777"],  # noqa: S108 - the container's own
        "mem_limit": 256 * 2**20,
        "volumes": [f"./{GATEWAY_FILE}:/etc/pai/{GATEWAY_FILE}:ro"],
        "ports": [f"${{PAI_ADDRESS:-127.0.0.1}}:${{PAI_PORT:-{GATEWAY_PORT}}}:{GATEWAY_PORT}"],
        "networks": ["inside", "outside"],
        "depends_on": {SERVER: {"condition": "service_healthy"}},
        "logging": _logging(exported),
    }  # fmt: skip


def _hardened(allowed: ContainerSpec) -> dict[str, Any]:
    options = ["no-new-privileges:true"] if allowed.no_new_privileges else []
    if allowed.seccomp == "unconfined":
        options.append("seccomp:unconfined")
    hardened: dict[str, Any] = {
        "user": f"{allowed.user}:{allowed.user}",
        "read_only": allowed.read_only_root,
        "cap_drop": ["ALL"],
        "security_opt": options,
        "pids_limit": allowed.pids,
        "init": True,
        "ulimits": {"core": 0},
        # Nobody else starts it again.
        "restart": "unless-stopped",
    }
    return hardened | ({"cap_add": list(allowed.capabilities)} if allowed.capabilities else {})


def _healthcheck(startup_s: float) -> dict[str, Any]:
    ask = (
        "import sys,urllib.request as u;"
        f"sys.exit(u.urlopen('http://127.0.0.1:{HTTP_PORT}/v2/health/ready',timeout=2).status!=200)"
    )
    return {
        "test": ["CMD", _PYTHON, "-I", "-c", ask],
        "interval": "5s",
        "timeout": "3s",
        "retries": 3,
        "start_period": f"{round(startup_s)}s",
    }


def _logging(exported: Exported) -> dict[str, Any]:
    options = dict(exported.log_options)
    if not options and exported.log_driver in ("json-file", "local"):
        options = {"max-size": "4m", "max-file": "2"}
    return {"driver": exported.log_driver, "options": options}


def _readme(exported: Exported) -> str:
    release = exported.release
    notes = (
        f"Only the gateway is published: `PAI_ADDRESS` (127.0.0.1) and `PAI_PORT` ({GATEWAY_PORT}) say where.",
        f"The gateway is Envoy with `{GATEWAY_FILE}`; `PAI_ENVOY_IMAGE` names another image of it.",
        "More replicas: `docker compose up --detach --scale server=N`; the gateway finds them by name.",
        f"Another engine: `docker save {exported.image}` here and `docker load` there.",
    )
    parts = [
        f"# {release.id}",
        "Run it with `docker compose` (or `docker-compose`), on the engine that has its image:",
        f"    docker compose up --detach\n    curl http://127.0.0.1:{GATEWAY_PORT}/v2/models/{release.backend}",
        "\n".join(f"- {note}" for note in notes),
    ]
    if exported.is_mounted:
        name = model_volume(exported.home, release.inputs.model.digest)
        parts.append(
            f"The model is in the volume `{name}`, which is mounted read-only and which Compose never removes.\n"
            f"Where there is none yet (another engine, or `weights: pull`), fill it from a folder"
            f" that holds `{release.inputs.model.name}`:\n\n"
            f"    docker volume create {name}\n"
            f'    docker run --rm --user 0 --entrypoint cp -v "$PWD/model:/from:ro" -v {name}:/to'
            f" {exported.image} -r /from/. /to"
        )
    if release.spec.secrets:
        names = ", ".join(f"`secrets/{name}`" for name in release.spec.secrets)
        user = (release.spec.container or ContainerSpec()).user
        parts.append(
            f"Secrets are read from {names} beside this file; they were not exported.\n"
            f"Write them readable for user {user} alone (`chown {user}`, `chmod 400`);"
            f" the model finds them in {SECRETS_FOLDER}."
        )
    return "\n\n".join(parts) + "\n"
