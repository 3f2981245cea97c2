"""Secrets come through standard input whole, or the server does not start and tells nothing of them."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

VALUE = "what-nobody-tells"
NO_SUCH_MODEL = "m=/no/such/model.onnx"


def served(folder: Path, line: bytes) -> tuple[int, dict[str, str]]:
    """Start a server that gets this on its standard input; return its exit code and last line."""
    done = subprocess.run(
        [sys.executable, "-m", "prometheus_ai_runtime", "serve", "--port", "0",
         "--secrets", folder, NO_SUCH_MODEL],
        input=line, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert VALUE.encode() not in done.stdout + done.stderr
    told: dict[str, str] = json.loads(done.stderr.splitlines()[-1])
    return done.returncode, told


def test_secrets_become_files_that_only_their_reader_reads(tmp_path: Path) -> None:
    line = json.dumps({"hub": VALUE, "other": "ü"}).encode() + b"\n"
    code, _ = served(tmp_path, line)
    # It went on to the model, which does not exist.
    assert code == 65
    assert (tmp_path / "hub").read_text() == VALUE
    assert stat.S_IMODE((tmp_path / "hub").stat().st_mode) == 0o400
    assert (tmp_path / "other").read_text() == "ü"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"", "did not come whole"),
        (json.dumps({"hub": VALUE}).encode(), "did not come whole"),
        (f"{VALUE}\n".encode(), "no JSON object"),
        (json.dumps({"../hub": VALUE}).encode() + b"\n", "no JSON object"),
        (json.dumps({"hub": [VALUE]}).encode() + b"\n", "no JSON object"),
    ],
)
def test_what_is_no_line_of_secrets_is_refused(tmp_path: Path, line: bytes, said: str) -> None:
    code, told = served(tmp_path / "secrets", line)
    assert code == 64
    assert said in told["error"]
    assert not (tmp_path / "hub").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    code, told = served(tmp_path / "none", json.dumps({"hub": VALUE}).encode() + b"\n")
    assert code == 64
    assert str(tmp_path / "none") in told["error"]
