"""The command line against one control plane over fakes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from prometheus_ai.cli.main import main
from tests.unit.api.world import World, running


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running(tmp_path) as world:
        yield world


@pytest.fixture
def pai(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Pai":
    monkeypatch.chdir(tmp_path)
    return Pai({"PAI_URL": world.url, "PAI_TOKEN": world.token()})


class Pai:
    """Runs ``pai`` in this process."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ

    def __call__(self, *words: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, words, input=stdin, env=self.environ, prog_name="pai")

    def json(self, *words: str) -> Any:
        """Run a command that must succeed and print JSON alone."""
        result = self(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def deployed(pai: Pai, tmp_path: Path) -> Callable[..., Result]:
    """Return what deploys a model's bytes as the backend digits and waits."""

    def deploy(content: bytes = b"model one", *words: str) -> Result:
        (tmp_path / "model.onnx").write_bytes(content)
        spec = "name: digits\nmodel: {path: model.onnx, engine: onnx}\n"
        (tmp_path / "pai.yaml").write_text(spec)
        result = pai("deploy", "pai.yaml", "--wait", *words)
        assert result.exit_code == 0, result.output
        return result

    return deploy
