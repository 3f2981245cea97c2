"""The store and its log under SIGKILL at random moments of writing."""

import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.audit import advance_checkpoint, read_checkpoint, record_events, verify
from prometheus_ai.domain.event import Event, Kind
from prometheus_ai.testing.state_values import make_backend, make_release, make_state, make_window

ROUNDS = 6
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def write_for_ever(home: Path) -> None:
    """Make one change after the other, and say its number once it is committed."""
    store = SqlStore.open(home / "pai.db")
    with store.read() as view:
        number = len(view.backends())
    while True:
        name = f"b{number}"
        with store.write() as tx:
            tx.put_backend(make_backend(name))
            tx.add_release(make_release(name))
            tx.put_release_state(make_state(name))
            assert tx.next_table_generation() == number + 1
            tx.add_windows([make_window(number)])
            record_events(
                tx,
                [
                    Event(kind=kind, actor="alice", reason=name, backend=name, at=NOON)
                    for kind in (Kind.BACKEND_CREATED, Kind.RELEASE_CREATED)
                ],
            )
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        if number % 7 == 0:
            with store.read() as view:
                advance_checkpoint(view, home / "audit" / "checkpoint.json", NOON)
        if number % 50 == 49:
            with store.write() as tx:
                tx.compact_windows(NOON, 60)
        number += 1


@contextmanager
def running(home: Path) -> Iterator[subprocess.Popen[str]]:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, __file__, str(home)], stdout=subprocess.PIPE, text=True, cwd=root
    ) as child:
        try:
            yield child
        finally:
            child.kill()
            child.wait(timeout=30)


def kill_at_random(home: Path, chance: random.Random) -> int:
    """Kill a writer after some acknowledged changes; return the number of the last one."""
    with running(home) as child:
        assert child.stdout is not None
        last = -1
        for _ in range(chance.randint(1, 80)):
            last = int(child.stdout.readline())
        # A part of the next change: the kill falls into preparing, writing, syncing or telling it.
        spin = chance.randint(0, 20_000)
        while spin:
            spin -= 1
        child.send_signal(signal.SIGKILL)
        for line in child.stdout:  # acknowledged before it died
            if line.endswith("\n"):
                last = int(line)
    return last


def check(home: Path, acknowledged: int) -> int:
    """Open what the dead writer left; return how many changes are there."""
    store = SqlStore.open(home / "pai.db")
    try:
        kept = read_checkpoint(home / "audit" / "checkpoint.json")
        with store.read() as view:
            names = {backend.name for backend in view.backends()}
            count = len(names)
            assert names == {f"b{number}" for number in range(count)}
            assert count > acknowledged, "an acknowledged change was lost"
            assert len(view.releases()) == len(view.release_states()) == count
            assert view.table_generation() == count
            head = view.audit_head()
            assert head is not None
            assert head.size == 2 * count
            report = verify(view, checkpoints=[] if kept is None else [kept])
            assert report.is_sound, report.findings
            advance_checkpoint(view, home / "audit" / "checkpoint.json", NOON)
    finally:
        store.close()
    with closing(sqlite3.connect(home / "pai.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return count


@pytest.mark.e2e
@pytest.mark.timeout(120)
def test_no_acknowledged_change_is_lost_and_none_is_half_there(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    sys.stdout.write(f"seed {seed}\n")  # shown when the test fails
    chance = random.Random(seed)
    counts = [0]
    for _ in range(ROUNDS):
        acknowledged = kill_at_random(tmp_path, chance)
        counts.append(check(tmp_path, acknowledged))
    assert counts == sorted(set(counts))


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]))
