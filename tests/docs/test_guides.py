"""Guides do what they say: their commands run, in order, as a reader would run them."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.control.containers.images import installation_id
from tests.contract.docker_target import remove_everything
from tests.docs.guide import RUNNABLE, blocks, script

ROOT = Path(__file__).resolve().parents[2]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs/guides").glob("*.md"))]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
GUIDE_S = 240.0
ON_DOCKER = ("docker-target.md", "images.md")
DOWN_S = 60.0

# Readers begin in a checkout; these of its parts are named in commands.
CHECKOUT = (".venv", "examples")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _guide(path: Path) -> ParameterSet:
    marks = [pytest.mark.requires("docker")] if path.name in ON_DOCKER else []
    return pytest.param(path, marks=marks, id=_name(path))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model environments are made once for all guides."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
def desk(
    request: pytest.FixtureRequest, tmp_path: Path, environments: Path
) -> Iterator[dict[str, str]]:
    """A reader's environment: an empty home, programs on PATH, ports of its own."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "environments").symlink_to(environments)
    programs = f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PAI_")},
        "PATH": programs,
        "HOME": os.environ.get("HOME", str(tmp_path)),
        "PAI_HOME": str(home),
        "PAI_API_PORT": str(_free_port()),
        "PAI_GATEWAY_PORT": str(_free_port()),
    }
    yield environment
    subprocess.run(
        ["pai", "down"],
        env=environment,
        capture_output=True,
        timeout=DOWN_S,
        check=False,
    )
    if "docker" in {name for mark in request.node.iter_markers("requires") for name in mark.args}:
        remove_everything(installation_id(SqlStore.open(home / "state" / "pai.db")))


@pytest.mark.e2e
@pytest.mark.timeout(300)
@pytest.mark.requires("envoy", "uv", "index")
@pytest.mark.parametrize("guide", [_guide(path) for path in GUIDES])
def test_a_guide_runs_from_top_to_bottom(guide: Path, desk: dict[str, str], tmp_path: Path) -> None:
    text = script(guide)
    text = text.replace("127.0.0.1:7070", f"127.0.0.1:{desk['PAI_API_PORT']}")
    text = text.replace("127.0.0.1:7080", f"127.0.0.1:{desk['PAI_GATEWAY_PORT']}")
    place = tmp_path / "desk"
    place.mkdir()
    for part in CHECKOUT:
        (place / part).symlink_to(ROOT / part)
    log = tmp_path / "log"
    # A file, not a pipe: what a guide leaves running would hold a pipe open.
    with log.open("w") as output:
        ran = subprocess.run(
            ["bash", "-c", text],
            cwd=place,
            env=desk,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=GUIDE_S,
            check=False,
        )
    assert ran.returncode == 0, log.read_text()[-6000:]


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_a_command_in_a_document_is_run_or_says_why_not(document: Path) -> None:
    if document in GUIDES:
        return
    silent = [
        block.text
        for block in blocks(document)
        if block.kind in RUNNABLE and block.order != "not run"
        if not block.is_for_make
    ]
    assert not silent, "commands belong in a guide, or need `<!-- not run: REASON -->` above them"
