"""The import contracts hold, and each of them bites.

Violations are planted in a copy of the tree; every one must be reported by the contract meant for it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LINE = "The tree is a line: import only what is below you"
ADAPTERS = "Only compose names an adapter"
STRANGERS = "Adapters are strangers to each other"
SURFACES = "Surfaces speak to control, never to a station"
CLIENT = "The client knows the words and the wire, nothing else of ours"
WORDS = "Domain and ports touch nothing outside"
DECIDERS = "Deciders are pure"
CLIENTS = "Third-party clients live at the edges"
TESTING = "What ships for tests is used by tests alone"
WIRE = "Platform and model server meet on the wire alone"
CYCLES = "No cycles anywhere"

# The contract, the package where a module is planted, and what that module imports.
PLANTED = [
    (LINE, "domain", "prometheus_ai.control"),
    (LINE, "ports", "prometheus_ai.specs"),
    (LINE, "specs", "prometheus_ai.reconcile"),
    (LINE, "reconcile", "prometheus_ai.specs"),
    (LINE, "gateway", "prometheus_ai.control"),
    (LINE, "analysis", "prometheus_ai.rollout"),
    (LINE, "scaling", "prometheus_ai.simulate"),
    (LINE, "simulate", "prometheus_ai.control"),
    (LINE, "control", "prometheus_ai.compose"),
    (LINE, "control", "prometheus_ai.api"),
    (LINE, "adapters", "prometheus_ai.gateway"),
    (LINE, "api", "prometheus_ai.cli"),
    (ADAPTERS, "control", "prometheus_ai.adapters"),
    (ADAPTERS, "api", "prometheus_ai.adapters"),
    (ADAPTERS, "reconcile", "prometheus_ai.adapters"),
    (SURFACES, "api", "prometheus_ai.reconcile"),
    (SURFACES, "cli", "prometheus_ai.ports"),
    (CLIENT, "client", "prometheus_ai.control"),
    (WORDS, "domain", "os"),
    (WORDS, "ports", "sqlalchemy"),
    (DECIDERS, "reconcile", "time"),
    (DECIDERS, "reconcile", "random"),
    (DECIDERS, "rollout", "random"),
    (DECIDERS, "scaling", "time"),
    (DECIDERS, "analysis", "os"),
    (DECIDERS, "reconcile", "prometheus_ai.ports"),
    (CLIENTS, "control", "httpx"),
    (CLIENTS, "control", "subprocess"),
    (CLIENTS, "api", "sqlalchemy"),
    (TESTING, "control", "prometheus_ai.testing"),
]


def lint(folder: Path) -> str:
    """Run the contracts of this repository on the packages in a folder."""
    ran = subprocess.run(
        [
            Path(sys.prefix) / "bin" / "lint-imports",
            "--no-cache",
            "--config",
            ROOT / ".importlinter",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.stdout + ran.stderr


def copy_tree(folder: Path) -> None:
    """Copy both packages; bytecode stays behind."""
    ignored = shutil.ignore_patterns("__pycache__")
    for package in (ROOT / "src/prometheus_ai", ROOT / "runtime/src/prometheus_ai_runtime"):
        shutil.copytree(package, folder / package.name, ignore=ignored)


def findings(report: str, contract: str) -> str:
    """Return the part of a report that explains one broken contract."""
    _, _, broken = report.partition("Broken contracts")
    parts = re.split(r"^(.+)\n-{3,}$", broken, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(contract, "")


@pytest.fixture(scope="module")
def planted_report(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("planted")
    copy_tree(folder)
    for number, (_, package, imported) in enumerate(PLANTED):
        module = folder / "prometheus_ai" / package / f"planted_{number}.py"
        module.write_text(f"import {imported}\n")
    return lint(folder)


def test_every_contract_is_kept(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    report = lint(tmp_path)
    assert " 0 broken." in report, report


@pytest.mark.parametrize("number", range(len(PLANTED)))
def test_a_planted_import_is_caught(planted_report: str, number: int) -> None:
    contract, package, imported = PLANTED[number]
    wanted = f"prometheus_ai.{package}.planted_{number} -> {imported} (l.1)"
    assert wanted in findings(planted_report, contract), planted_report


def test_a_new_folder_needs_a_place_in_the_line(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    (tmp_path / "prometheus_ai/leftovers").mkdir()
    (tmp_path / "prometheus_ai/leftovers/__init__.py").touch()
    assert "prometheus_ai.leftovers" in lint(tmp_path)


@pytest.mark.parametrize(
    ("importer", "imported"),
    [("prometheus_ai", "prometheus_ai_runtime"), ("prometheus_ai_runtime", "prometheus_ai")],
)
def test_platform_and_model_server_stay_apart(tmp_path: Path, importer: str, imported: str) -> None:
    copy_tree(tmp_path)
    place = "control" if importer == "prometheus_ai" else "engines"
    (tmp_path / importer / place / "planted.py").write_text(f"import {imported}\n")
    assert f"{importer}.{place}.planted -> {imported}" in findings(lint(tmp_path), WIRE)


def test_a_cycle_inside_a_package_is_caught(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    package = tmp_path / "prometheus_ai/reconcile"
    (package / "planted_one.py").write_text("import prometheus_ai.reconcile.planted_two\n")
    (package / "planted_two.py").write_text("import prometheus_ai.reconcile.planted_one\n")
    assert ".planted_one" in findings(lint(tmp_path), CYCLES)


def test_one_adapter_naming_another_is_caught(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    adapters = tmp_path / "prometheus_ai/adapters"
    (adapters / "stores/planted.py").write_text("import prometheus_ai.adapters.drivers.local\n")
    assert "prometheus_ai.adapters.stores.planted" in findings(lint(tmp_path), STRANGERS)
