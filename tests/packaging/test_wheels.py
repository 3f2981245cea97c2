"""The wheels that people install are complete, and work in an environment that holds nothing else."""

import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALL_S = 300.0
RUN_S = 60.0

MODEL = """
class Twice:
    signature = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
    }

    def predict(self, x):
        return x * 2
"""

pytestmark = [pytest.mark.e2e, pytest.mark.requires("index", "uv"), pytest.mark.timeout(600)]


def run(*words: str | Path, timeout_s: float = RUN_S, **options: object) -> str:
    """Run a program to its end and return what it printed."""
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, f"{words} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    return str(done.stdout)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build both wheels with the program that `make wheels` runs."""
    folder = tmp_path_factory.mktemp("wheels")
    run(ROOT / "scripts/wheels", folder, timeout_s=INSTALL_S)
    return {wheel.name.partition("-")[0]: wheel for wheel in folder.glob("*.whl")}


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install both wheels with pip into an empty environment; return its programs' folder."""
    environment = tmp_path_factory.mktemp("installed") / "env"
    uv = Path(sys.prefix) / "bin" / "uv"
    run(uv, "venv", "--quiet", "--no-project", "--seed", "--python", sys.executable, environment)
    programs = environment / "bin"
    run(
        programs / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        *wheels.values(),
        timeout_s=INSTALL_S,
    )
    return programs


def alone(home: Path) -> dict[str, str]:
    """Return an environment in which nothing but the installation is found."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}


def test_both_distributions_are_built(wheels: dict[str, Path]) -> None:
    assert sorted(wheels) == ["prometheus_ai", "prometheus_ai_runtime"]


@pytest.mark.parametrize("name", ["prometheus_ai", "prometheus_ai_runtime"])
def test_a_wheel_holds_the_package_its_types_and_its_licence(
    wheels: dict[str, Path], name: str
) -> None:
    with zipfile.ZipFile(wheels[name]) as archive:
        names = archive.namelist()
        tops = {entry.partition("/")[0] for entry in names}
        metadata = next(entry for entry in names if entry.endswith(".dist-info/METADATA"))
        described = archive.read(metadata).decode()
    assert f"{name}/py.typed" in names
    assert any(entry.endswith("/licenses/LICENSE") for entry in names)
    assert {top.partition("-")[0] for top in tops} == {name}
    assert "License-Expression: Apache-2.0" in described
    assert len(described.split("\n\n", 1)[1]) > 200, "the README is the page on the package index"


def test_a_wheel_holds_every_file_of_its_package(wheels: dict[str, Path]) -> None:
    sources = {"prometheus_ai": ROOT / "src", "prometheus_ai_runtime": ROOT / "runtime/src"}
    for name, source in sources.items():
        with zipfile.ZipFile(wheels[name]) as archive:
            packed = set(archive.namelist())
        wanted = {
            file.relative_to(source).as_posix()
            for file in (source / name).rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }
        assert wanted - packed == set()


def test_pip_finds_no_conflict(installed: Path) -> None:
    assert "No broken requirements" in run(installed / "python", "-m", "pip", "check")


def test_the_installed_programs_start(installed: Path, tmp_path: Path) -> None:
    assert "deploy" in run(installed / "pai", "--help", env=alone(tmp_path))
    assert "0.1.0" in run(installed / "pai", "version", env=alone(tmp_path))
    assert "serve" in run(installed / "pai-runtime", "--help", env=alone(tmp_path))


def test_a_backend_is_deployed_from_the_installed_wheels(installed: Path, tmp_path: Path) -> None:
    """The model server that replicas run comes out of the installation, from no checkout."""
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "pai.yaml").write_text("name: twice\nmodel: {path: model.py, engine: python}\n")
    ports = {"PAI_API_PORT": str(free_port()), "PAI_GATEWAY_PORT": str(free_port())}
    reader = {**os.environ, **alone(tmp_path), **ports, "PAI_HOME": str(tmp_path / "home")}

    def pai(*words: str) -> str:
        return run(installed / "pai", *words, env=reader, cwd=tmp_path, timeout_s=INSTALL_S)

    pai("up", "--detach")
    try:
        pai("deploy", "pai.yaml", "--wait")
        assert "[4.0, 6.0]" in pai("predict", "twice", "[[2, 3]]")
    finally:
        pai("down")


def test_the_programs_of_the_wheels_find_envoy_and_uv(installed: Path) -> None:
    for program in ("envoy", "uv"):
        assert os.access(installed / program, os.X_OK)
        assert run(installed / program, "--version")
