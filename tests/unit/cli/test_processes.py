"""Processes of a home: known for good, kept running, ended without touching a stranger."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from prometheus_ai.cli.machine import processes
from prometheus_ai.cli.machine.supervisor import Child, Supervisor
from prometheus_ai.cli.main import main
from tests.unit.api.world import wait_for

SLEEP = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-c",
    (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('up', flush=True); time.sleep(60)"
    ),
)


def start(argv: tuple[str, ...]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def reap(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def test_a_process_is_known_by_more_than_its_number(tmp_path: Path) -> None:
    process = start(SLEEP)
    known = processes.record(tmp_path, "server", process.pid)
    assert processes.living(tmp_path) == (known,)
    assert not replace(known, identity="another boot:1").is_alive
    reap(process)
    assert processes.living(tmp_path) == ()
    assert list((tmp_path / "processes").iterdir()) == []


def test_a_stranger_with_a_reused_number_is_never_ended(tmp_path: Path) -> None:
    stranger = start(SLEEP)
    known = processes.record(tmp_path, "server", stranger.pid)
    assert processes.end(replace(known, identity="an earlier process"), grace_s=0.1)
    assert stranger.poll() is None
    reap(stranger)


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    process = start(STUBBORN)
    known = processes.record(tmp_path, "server", process.pid)
    assert processes.end(known, grace_s=0.1)
    assert process.wait(10) == -signal.SIGKILL
    reap(process)


def test_a_damaged_record_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "server-1.json").write_text("{")
    assert processes.living(tmp_path) == ()


def test_this_process_is_on_record_while_it_runs(tmp_path: Path) -> None:
    with processes.recorded(tmp_path, "server"):
        assert [one.pid for one in processes.living(tmp_path, "server")] == [os.getpid()]
        assert processes.living(tmp_path, "gateway") == ()
    assert processes.living(tmp_path) == ()


class Watched:
    """A supervisor in a thread."""

    def __init__(self, run: Path, *children: Child) -> None:
        self.said: list[str] = []
        self.supervisor = Supervisor(run=run, children=list(children), say=self.said.append)
        self.thread = threading.Thread(target=self.supervisor.keep_running, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.supervisor.stopping.set()
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture
def child(tmp_path: Path) -> Child:
    return Child(name="server", argv=SLEEP, log=tmp_path / "server.log")


@pytest.fixture
def watched(tmp_path: Path, child: Child) -> Iterator[Watched]:
    watched = Watched(tmp_path, child)
    yield watched
    watched.stop()


def pid_of(run: Path) -> int:
    wait_for(lambda: bool(processes.living(run, "server")))
    return processes.living(run, "server")[0].pid


def test_a_killed_process_is_started_again_and_all_end_together(
    tmp_path: Path, watched: Watched
) -> None:
    first = pid_of(tmp_path)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: pid_of(tmp_path) != first)
    assert "server ended (signal SIGKILL)" in watched.said[0]
    second = processes.living(tmp_path, "server")[0]
    watched.stop()
    assert not second.is_alive
    assert processes.living(tmp_path) == ()


def test_a_process_that_keeps_failing_is_started_with_growing_pauses(tmp_path: Path) -> None:
    failing = Child(name="server", argv=(sys.executable, "-c", "raise SystemExit(9)"), log=None)
    watched = Watched(tmp_path, failing)
    wait_for(lambda: len(watched.said) >= 2)
    watched.stop()
    assert [line.rpartition(" in ")[2] for line in watched.said[:2]] == ["0.2 s", "0.4 s"]
    assert "exit code 9" in watched.said[0]


def test_a_program_that_is_missing_is_said_and_tried_again(tmp_path: Path) -> None:
    watched = Watched(tmp_path, Child(name="server", argv=("/nowhere/pai",), log=None))
    wait_for(lambda: len(watched.said) >= 2)
    watched.stop()
    assert "cannot be started" in watched.said[0]


def test_a_running_process_is_adopted_not_doubled(tmp_path: Path, child: Child) -> None:
    running = start(SLEEP)
    known = processes.record(tmp_path, "server", running.pid)
    watched = Watched(tmp_path, child)
    wait_for(lambda: bool(watched.said))
    assert f"runs already as process {running.pid}" in watched.said[0]
    assert processes.living(tmp_path, "server") == (known,)
    running.kill()
    running.communicate()
    wait_for(lambda: pid_of(tmp_path) != running.pid)
    watched.stop()


def _begins_with_up(log: Path) -> bool:
    # Between the turn of the file and the start of the process there is none.
    try:
        return b"up" in log.read_bytes()[:10]
    except FileNotFoundError:
        return False


def test_what_a_process_writes_is_kept_and_bounded(tmp_path: Path, child: Child) -> None:
    assert child.log is not None
    child.log.write_bytes(b"x" * (9 * 2**20))
    watched = Watched(tmp_path, child)
    try:
        wait_for(lambda: child.log is not None and _begins_with_up(child.log))
    finally:
        watched.stop()
    assert child.log.with_suffix(".log.1").stat().st_size == 9 * 2**20


def test_a_home_that_cannot_be_made_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    result = CliRunner().invoke(main, ("up", "-d"), env={"PAI_HOME": str(tmp_path / "home")})
    assert result.exit_code == 9
    assert "cannot be made: File exists" in result.stderr
