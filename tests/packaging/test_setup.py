"""Set-up finds what it needs on all kinds of machines, and does nothing when nothing changed.

A stand-in for uv writes down how it was called; the real thing is exercised by every fresh checkout.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from scripts import fetch_uv

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (
    "sh",
    "dirname",
    "cat",
    "cksum",
    "sort",
    "head",
    "cut",
    "mktemp",
    "rm",
    "sed",
    "mkdir",
    "ln",
    "env",
)
NO_PIP = {"PIP_CONFIG_FILE": "/dev/null"}

UV = """#!/bin/sh
case "$1" in --version) echo "uv VERSION (stand-in)"; exit 0 ;; esac
echo "$*" >> "$CALLS"
env | sort > "$CALLS.env"
case "$1" in
sync | venv) mkdir -p .venv/bin; ln -sf PYTHON .venv/bin/python ;;
esac
exit STATUS
"""


@dataclass
class Machine:
    """A checkout on a machine that has only what a test gives it."""

    root: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.checkout = self.root / "checkout"
        self.programs = self.root / "bin"
        self.calls_file = self.root / "calls"
        self.programs.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self.programs / tool).symlink_to(found)
        (self.checkout / "runtime").mkdir(parents=True)
        (self.checkout / "scripts").mkdir()
        for name in ("uv.lock", "pyproject.toml", "runtime/pyproject.toml", "scripts/setup"):
            shutil.copy(ROOT / name, self.checkout / name)
        shutil.copy(ROOT / "scripts/fetch_uv.py", self.checkout / "scripts")

    def give_python(self) -> None:
        (self.programs / "python3").symlink_to(sys.executable)

    def give_uv(self, version: str = "99.0.0", status: int = 0) -> None:
        text = UV.replace("VERSION", version).replace("PYTHON", sys.executable)
        program = self.programs / "uv"
        program.write_text(text.replace("STATUS", str(status)))
        program.chmod(0o755)

    def setup(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.checkout / "scripts/setup"],
            env={
                "PATH": str(self.programs),
                "CALLS": str(self.calls_file),
                **NO_PIP,
                **self.settings,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    def environment(self) -> dict[str, str]:
        """Return the environment in which uv was last called."""
        lines = self.calls_file.with_suffix(".env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    made.give_python()
    return made


def test_a_uv_on_the_path_is_used_with_the_lock(machine: Machine) -> None:
    machine.give_uv()
    assert machine.setup().returncode == 0
    (call,) = machine.calls()
    assert call.startswith("sync --quiet --frozen --all-packages --python ")


def test_the_second_time_nothing_is_done(machine: Machine) -> None:
    machine.give_uv()
    machine.setup()
    again = machine.setup()
    assert (again.returncode, again.stderr, len(machine.calls())) == (0, "", 1)


def test_a_changed_lock_is_installed(machine: Machine) -> None:
    machine.give_uv()
    machine.setup()
    with (machine.checkout / "uv.lock").open("a") as lock:
        lock.write("\n")
    machine.setup()
    assert len(machine.calls()) == 2


def test_a_failed_installation_is_tried_again(machine: Machine) -> None:
    machine.give_uv(status=2)
    failed = machine.setup()
    assert failed.returncode == 1
    assert "HTTPS_PROXY" in failed.stderr
    machine.give_uv()
    assert machine.setup().returncode == 0


def test_python_is_never_downloaded(machine: Machine) -> None:
    machine.give_uv()
    machine.setup()
    assert machine.environment()["UV_PYTHON_DOWNLOADS"] == "never"


def test_without_python_it_says_what_to_install(tmp_path: Path) -> None:
    failed = Machine(tmp_path).setup()
    assert failed.returncode == 1
    assert "no Python 3.11 or newer" in failed.stderr
    assert "apt-get install python3" in failed.stderr


def test_an_own_certificate_authority_of_pip_holds_for_uv(machine: Machine) -> None:
    machine.give_uv()
    machine.settings["PIP_CERT"] = "/etc/own.pem"
    machine.setup()
    assert machine.environment()["SSL_CERT_FILE"] == "/etc/own.pem"


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"])
def test_a_mirror_is_asked_for_the_locked_files_by_digest(machine: Machine, variable: str) -> None:
    machine.give_uv()
    machine.settings[variable] = "https://mirror.example/simple"
    assert machine.setup().returncode == 0
    synced = next(call for call in machine.calls() if call.startswith("pip sync"))
    assert "--require-hashes" in synced
    assert "--default-index https://mirror.example/simple" in synced


def test_an_environment_of_another_project_is_left_alone(machine: Machine) -> None:
    machine.give_uv()
    machine.settings |= {"VIRTUAL_ENV": "/elsewhere", "UV_PROJECT_ENVIRONMENT": "/elsewhere"}
    machine.setup()
    assert "VIRTUAL_ENV" not in machine.environment()
    assert machine.environment()["UV_PROJECT_ENVIRONMENT"] == ".venv"


def test_the_lock_names_a_uv_for_this_machine() -> None:
    package = fetch_uv.locked()
    wheel = fetch_uv.choose(package["wheels"])
    assert package["version"] in wheel["url"]
    assert wheel["hash"].startswith("sha256:")


def test_a_fetched_uv_must_have_the_locked_digest(tmp_path: Path) -> None:
    wheel = tmp_path / "uv.whl"
    wheel.write_bytes(b"not what was locked")
    with pytest.raises(SystemExit, match=r"but uv\.lock says sha256:0"):
        fetch_uv.fetch({"url": wheel.as_uri(), "hash": "sha256:0"})


def test_an_unreachable_file_is_named(tmp_path: Path) -> None:
    absent = (tmp_path / "absent.whl").as_uri()
    with pytest.raises(SystemExit, match="could not be fetched"):
        fetch_uv.fetch({"url": absent, "hash": ""})
