"""A backend with a secret on Docker: nothing tells its value, and Compose runs it without the platform."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from prometheus_ai.adapters.gateways.envoy.binary import find_envoy
from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.control.containers.images import installation_id
from tests.contract.docker_target import BASE, build, docker, remove_everything
from tests.e2e.installation import Installation, free_ports, wait_for

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.requires("envoy", "docker", "compose", "index"),
]
VALUE = "a-value-that-nobody-tells"
DIGEST = sha256(VALUE.encode()).hexdigest()
ENVOY = "pai-test/envoy:1"
MODEL = """
import os
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray


class Model:
    def __init__(self):
        self.secret = Path(os.environ["PAI_SECRETS"], "hub").read_bytes()

    def predict(self, x: Annotated[NDArray[np.float32], -1, 1]) -> Annotated[NDArray[np.bytes_], -1]:
        return np.array([sha256(self.secret).hexdigest()] * len(x), dtype=object)
"""


@pytest.fixture
def installation(tmp_path: Path, environments: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    made.environ["PAI_SECRET_HUB"] = VALUE
    (made.home / "environments").symlink_to(environments)
    try:
        made.start("gateway")
        made.start("server")
        made.client().add_target("docker")
        yield made
    finally:
        print(made.said())
        made.close()
        remove_everything(installation_id(SqlStore.open(made.home / "state" / "pai.db")))


def asked(url: str) -> str:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}
    answer = httpx.post(f"{url}/v2/models/keeper/infer", json={"inputs": [tensor]}, timeout=10)
    return str(answer.raise_for_status().json()["outputs"][0]["data"][0])


def test_a_secret_is_told_to_nobody_and_compose_runs_the_backend(
    installation: Installation, tmp_path: Path
) -> None:
    spec = installation.python_spec(
        "keeper",
        MODEL,
        target="docker",
        image={"weights": "mount"},
        secrets={"hub": {"env": "PAI_SECRET_HUB"}},
    )
    installation.client().deploy(spec, wait=180)
    assert asked(installation.gateway_url) == DIGEST
    assert telling(installation.home) == []
    told = [installation.pai(*words).stdout for words in (
        ("status", "keeper", "--json"), ("why", "keeper", "--json"), ("logs", "keeper"),
        ("events", "--json"), ("audit", "export"),
    )]  # fmt: skip
    assert all(told)
    assert VALUE not in "".join((*told, installation.said()))

    folder = tmp_path / "keeper"
    exported = installation.pai("export", "compose", "keeper", "--out", str(folder))
    assert exported.returncode == 0, exported.stderr
    assert VALUE not in "".join(path.read_text() for path in folder.iterdir())
    installation.client().delete("keeper")
    with_compose(folder, tmp_path)


def with_compose(folder: Path, root: Path) -> None:
    (folder / "secrets").mkdir()
    (folder / "secrets" / "hub").write_text(VALUE)
    os.chown(folder / "secrets" / "hub", 10001, 10001)
    (folder / "secrets" / "hub").chmod(0o400)
    envoy = root / "envoy-image"
    envoy.mkdir()
    shutil.copyfile(find_envoy(), envoy / "envoy")
    (envoy / "envoy").chmod(0o755)
    build(envoy, ENVOY, f"FROM {BASE}\nCOPY envoy /usr/local/bin/envoy\n")
    (port,) = free_ports(1)
    environ = {**os.environ, "PAI_PORT": str(port), "PAI_ENVOY_IMAGE": ENVOY}

    def compose(*words: str) -> str:
        done = subprocess.run(
            ["docker-compose", *words], cwd=folder, env=environ,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        compose("--file", "compose.yaml", "up", "--detach")
        url = f"http://127.0.0.1:{port}"
        wait_for("an answer", lambda: asked(url) == DIGEST)
        containers = compose("--file", "compose.yaml", "ps", "--quiet").split()
        assert len(containers) == 2
        published = [one for one in containers if docker("port", one)]
        assert len(published) == 1
    finally:
        compose("--file", "compose.yaml", "down", "--volumes", "--timeout", "5")
    assert not docker(
        "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={folder.name}"
    )


def telling(folder: Path) -> list[Path]:
    """Return the files of an installation that hold the value."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if VALUE.encode() in path.read_bytes()]
