"""The reference is what the code says, and leaves nothing unexplained."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs/reference"


def test_the_reference_is_up_to_date() -> None:
    """Every command, setting, field, port, event, error and target is in it by construction."""
    checked = subprocess.run(
        [sys.executable, ROOT / "scripts/reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_nothing_in_the_reference_lacks_its_meaning() -> None:
    unexplained = [
        f"{page.name}: {line}"
        for page in sorted(REFERENCE.glob("*.md"))
        for line in page.read_text().splitlines()
        if re.search(r"\| *\|$", line)
    ]
    assert not unexplained, "\n" + "\n".join(unexplained)


def test_the_architecture_names_every_folder_and_every_contract() -> None:
    said = (ROOT / "ARCHITECTURE.md").read_text()
    folders = {
        folder.parent.name
        for source in ("src/prometheus_ai", "runtime/src/prometheus_ai_runtime")
        for folder in (ROOT / source).glob("*/__init__.py")
    }
    assert not {folder for folder in folders if f"`{folder}/`" not in said}
    contracts = re.findall(
        r"^name = ([^:,\n]+)", (ROOT / ".importlinter").read_text(), re.MULTILINE
    )
    assert not [name for name in contracts if name not in said]


def test_the_architecture_stays_short() -> None:
    assert (ROOT / "ARCHITECTURE.md").read_text().count("\n") < 200
