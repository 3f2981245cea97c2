"""Locks that users bring, of every kind, with the real uv."""

import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from prometheus_ai.adapters.environments.uv import UvEnvironments
from prometheus_ai.domain.errors import InvalidInput
from tests.e2e.environments.tiny_index import TinyIndex

pytestmark = pytest.mark.e2e

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PROJECT = """
[project]
name = "mine"
version = "1"
requires-python = ">=3.11"
dependencies = ["left", "onnxruntime"]
[dependency-groups]
dev = ["onlydev"]
"""


@pytest.fixture
def project(index: TinyIndex, environments: UvEnvironments, tmp_path: Path) -> Path:
    """Return a locked project; newer versions appear on the index afterwards."""
    for name in ("left", "onnxruntime", "onlydev"):
        index.add(name, "1.30")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    _uv(folder, "lock", "--default-index", index.url)
    for name in ("left", "onnxruntime"):
        index.add(name, "1.40")
    return folder


def _uv(folder: Path, *arguments: str) -> None:
    subprocess.run(
        [find_uv_bin(), *arguments], cwd=folder, check=True, capture_output=True, timeout=60
    )


def _pins(lock: bytes) -> set[str]:
    return {line.split(" ")[0] for line in lock.decode().splitlines() if "==" in line}


@pytest.mark.parametrize("kind", ["uv.lock", "pylock.toml", "requirements.txt"])
def test_a_users_lock_keeps_its_versions(
    environments: UvEnvironments, project: Path, tmp_path: Path, kind: str
) -> None:
    if kind != "uv.lock":
        form = "pylock.toml" if kind == "pylock.toml" else "requirements.txt"
        _uv(
            project,
            "export",
            "--frozen",
            "--no-dev",
            "--no-emit-project",
            "--format",
            form,
            "-o",
            kind,
        )
    alone = tmp_path / "alone"
    alone.mkdir()
    path = (project / kind).rename(alone / kind)
    lock = environments.check_lock(path, python=HERE, engine="onnx")
    assert {"left==1.30", "onnxruntime==1.30", "orjson==9.0"} <= _pins(lock)
    assert not {pin for pin in _pins(lock) if pin.startswith("onlydev")}
    ours = tmp_path / "ours.lock"
    ours.write_bytes(lock)
    environment = environments.make(
        ours, python=HERE, runtime=environments.runtime_id(), progress=lambda _: None
    )
    assert list(environment.rglob("onnxruntime-1.30.dist-info"))


def test_a_lock_without_the_engine_is_refused(
    environments: UvEnvironments, index: TinyIndex, project: Path
) -> None:
    with pytest.raises(InvalidInput, match=r"lacks what the engine xgboost needs: xgboost"):
        environments.check_lock(project / "uv.lock", python=HERE, engine="xgboost")


def test_a_lock_that_cannot_hold_the_model_server_is_refused(
    environments: UvEnvironments, index: TinyIndex, tmp_path: Path
) -> None:
    digest = index.add("numpy", "1.0")
    path = tmp_path / "requirements.txt"
    path.write_text(f"numpy==1.0 --hash=sha256:{digest}\n")
    with pytest.raises(InvalidInput, match="prometheus-ai-runtime"):
        environments.check_lock(path, python=HERE, engine="python")
