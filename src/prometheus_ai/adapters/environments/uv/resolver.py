"""Turning requirements and users' locks into ours."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from prometheus_ai.adapters.environments.uv.command import Uv
from prometheus_ai.adapters.environments.uv.interpreters import Interpreters
from prometheus_ai.adapters.environments.uv.locks import (
    Pin,
    check_requirements,
    needs_of_extra,
    normal,
    parse_pylock,
    parse_requirements_lock,
    project_of_uv_lock,
    render,
)
from prometheus_ai.adapters.environments.uv.runtime_wheel import DISTRIBUTION
from prometheus_ai.adapters.environments.uv.wheels import Wheels
from prometheus_ai.domain.errors import InvalidInput

LOCK_BYTES_MAX = 16 * 2**20
_WITHOUT_EXTRA = frozenset({"python"})


class UvResolver:
    """Implements the EnvironmentResolver port."""

    def __init__(self, uv: Uv, interpreters: Interpreters, wheels: Wheels) -> None:
        self._uv = uv
        self._interpreters = interpreters
        self._wheels = wheels

    def lock(self, requirements: Sequence[str], *, python: str, engine: str) -> bytes:
        """Resolve requirements together with the model server's and its engine's."""
        wanted = check_requirements(requirements)
        pins = self._compile(wanted, [], python=python, engine=engine)
        return render(pins, python=python, engine=engine)

    def check_lock(self, path: Path, *, python: str, engine: str) -> bytes:
        """Take a user's lock as it is, and add the model server's own few packages where it lacks them."""
        pins = self._read(path, python)
        locked = {pin.name for pin in pins}
        wheel = self._wheels.current()
        lacking = [name for name in needs_of_extra(wheel.metadata, engine) if name not in locked]
        if lacking:
            raise InvalidInput(
                f"{path.name} lacks what the engine {engine} needs: {', '.join(lacking)}",
                hint=f"add {' '.join(lacking)} to the project and lock it again",
            )
        closure = self._compile([], pins, python=python, engine=engine)
        added = [pin for pin in closure if pin.name not in locked]
        own = [pin for pin in pins if pin.name != normal(DISTRIBUTION)]
        return render([*own, *added], python=python, engine=engine)

    def runtime_id(self) -> str:
        """Return the identity of the model server that is installed beside the platform."""
        wheel = self._wheels.current()
        # Whoever records this identity may ask for the wheel long after the source changed.
        self._wheels.keep(wheel)
        return wheel.id

    def _compile(
        self, wanted: Sequence[str], pins: Sequence[Pin], *, python: str, engine: str
    ) -> list[Pin]:
        wheel = self._wheels.keep(self._wheels.current())
        extra = "" if engine in _WITHOUT_EXTRA else f"[{engine}]"
        lines = [*wanted, f"{DISTRIBUTION}{extra} @ {wheel.as_uri()}"]
        with tempfile.TemporaryDirectory(prefix="pai-lock-") as folder:
            constraints = Path(folder) / "pins.txt"
            constraints.write_text("".join(f"{pin.requirement()}\n" for pin in pins))
            text = self._uv.run(
                [
                    "pip", "compile", "-", "--generate-hashes", "--no-header", "--no-annotate",
                    "--no-emit-package", DISTRIBUTION, "--constraints", str(constraints),
                    "--python", str(self._interpreters.find(python)),
                ],
                doing="resolving the environment",
                text="\n".join(lines) + "\n",
            )  # fmt: skip
        return parse_requirements_lock(text, "uv's answer")

    def _read(self, path: Path, python: str) -> list[Pin]:
        try:
            if path.stat().st_size > LOCK_BYTES_MAX:
                raise InvalidInput(f"{path.name} is larger than {LOCK_BYTES_MAX} bytes")
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{path.name} cannot be read: {error}") from error
        if path.name.startswith("pylock") and path.suffix == ".toml":
            return parse_pylock(text, path.name)
        if path.suffix in (".lock", ".toml") and "[[package]]" in text:
            return parse_requirements_lock(self._export(path, text, python), path.name)
        return parse_requirements_lock(text, path.name)

    def _export(self, path: Path, text: str, python: str) -> str:
        project = project_of_uv_lock(text, path.name)
        with tempfile.TemporaryDirectory(prefix="pai-lock-") as folder:
            shutil.copyfile(path, Path(folder) / "uv.lock")
            (Path(folder) / "pyproject.toml").write_text(project)
            return self._uv.run(
                [
                    "export", "--project", folder, "--frozen", "--no-dev", "--no-emit-workspace",
                    "--no-header", "--no-annotate", "--format", "requirements.txt",
                    "--python", str(self._interpreters.find(python)),
                ],
                doing=f"reading {path.name}",
            )  # fmt: skip
