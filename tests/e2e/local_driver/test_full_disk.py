"""A full disk stops no replica and hides no end."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.domain.replica import ExitCause, ReplicaPhase
from tests.contract.local_target import LocalTarget

pytestmark = pytest.mark.e2e


@pytest.fixture
def target(tmp_path: Path) -> Iterator[LocalTarget]:
    folder = tmp_path / "small"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    done = subprocess.run(["mount", *options], capture_output=True, check=False, timeout=10)
    if done.returncode:
        pytest.skip("mounting a small disk needs root")
    made = LocalTarget(folder)
    yield made
    made.close()
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=10)


def _fill(target: LocalTarget) -> Path:
    ballast = target.root / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    return ballast


def test_a_replica_goes_on_and_its_end_is_recorded(target: LocalTarget) -> None:
    target.driver.start(target.order_plan("a", {"print_slowly": 3000}))
    target.until_phase("a", ReplicaPhase.READY)
    ballast = _fill(target)
    target.driver.stop("a", 5)
    ended = target.until_phase("a", ReplicaPhase.EXITED).exit
    assert ended is not None
    assert (ended.cause, ended.code) == (ExitCause.STOPPED, 0)
    assert ended.last_log
    assert target.reopen().observe()[0].exit == ended
    ballast.unlink()


def test_nothing_is_half_started(target: LocalTarget) -> None:
    order = target.order_plan("a", {})
    target.environments.find(order.lock_path, python="3.11", runtime="x")
    ballast = _fill(target)
    with pytest.raises(Unavailable) as caught:
        target.driver.start(order)
    assert caught.value.message
    assert target.driver.observe() == ()
    ballast.unlink()
    target.driver.start(order)
    target.until_phase("a", ReplicaPhase.READY)
