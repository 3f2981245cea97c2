"""The demonstration is a promise: it runs unattended, loses nothing and cleans up after itself."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.requires("envoy")]


@pytest.mark.timeout(400)
def test_the_demonstration_loses_no_request_and_cleans_up(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "demo", folder],
        text=True,
        capture_output=True,
        check=False,
        timeout=380,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("digits/v1", "digits/v2", "digits/v3", "Requests lost", "0 of ", "intact"):
        assert words in done.stdout
    assert not folder.exists()
