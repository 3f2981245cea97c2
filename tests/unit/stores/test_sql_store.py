"""What can go wrong with a database file, and what the store says then."""

import fcntl
import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from prometheus_ai.adapters.stores.home_lock import HomeLock
from prometheus_ai.adapters.stores.sql import SqlStore, versions
from prometheus_ai.adapters.stores.sql.tables import metadata
from prometheus_ai.domain.errors import (
    Conflict,
    Corrupted,
    PlatformError,
    Unavailable,
    Unsupported,
)
from prometheus_ai.testing.state_values import make_backend, make_release, make_state, make_window


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "pai.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    store = SqlStore.open(path, busy_s=0.2)
    yield store
    store.close()


def fill(path: Path, backends: int = 200) -> None:
    store = SqlStore.open(path)
    with store.write() as tx:
        for number in range(backends):
            tx.put_backend(make_backend(f"b{number}"))
            tx.add_release(make_release(f"b{number}"))
            tx.put_release_state(make_state(f"b{number}"))
        tx.add_windows([make_window(number) for number in range(200)])
    store.close()


def problem_of_opening(path: Path) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        SqlStore.open(path, busy_s=0.1)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    return caught.value


def test_only_the_owner_reads_the_files(store: SqlStore, path: Path) -> None:
    with store.write() as tx:
        tx.put_backend(make_backend())
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for name in ("pai.db", "pai.db-wal", "pai.db-shm"):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600


def test_loose_modes_are_tightened(path: Path) -> None:
    fill(path, 1)
    path.chmod(0o644)
    path.parent.chmod(0o755)
    SqlStore.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_state_survives_closing(path: Path) -> None:
    fill(path, 3)
    store = SqlStore.open(path)
    with store.read() as view:
        assert [backend.name for backend in view.backends()] == ["b0", "b1", "b2"]
    store.close()


def test_commits_are_durable_and_references_are_checked(store: SqlStore) -> None:
    with store._read() as view:
        pragmas = {
            name: view._connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_migrations_make_exactly_the_tables_that_the_code_uses(store: SqlStore) -> None:
    with store._read() as view:
        context = MigrationContext.configure(view._connection)
        assert compare_metadata(context, metadata) == []


def test_the_head_named_in_the_code_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(versions._SCRIPTS))
    assert ScriptDirectory.from_config(config).get_current_head() == versions.HEAD


def test_every_table_can_be_made_on_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))


def test_a_newer_schema_is_left_alone(path: Path) -> None:
    fill(path, 1)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    error = problem_of_opening(path)
    assert isinstance(error, Unsupported)
    assert "9999" in str(error)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE recipes (name TEXT)")
    assert isinstance(problem_of_opening(path), Unsupported)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


def test_a_migration_that_fails_leaves_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text((versions._SCRIPTS / "env.py").read_text())
    (folder / "script.py.mako").write_text("")
    (folder / "versions" / "v1.py").write_text(
        "from alembic import op\nrevision = '1'\ndown_revision = None\n"
        "def upgrade():\n    op.execute('CREATE TABLE half (x INTEGER)')\n    op.execute('nonsense')\n"
    )
    monkeypatch.setattr(versions, "_SCRIPTS", folder)
    assert isinstance(problem_of_opening(path), Unavailable)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


@pytest.mark.parametrize("offset", [0, 20, 40])
def test_random_bytes_in_the_header_are_corruption(path: Path, offset: int) -> None:
    fill(path)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(random.Random(offset).randbytes(60))
    assert isinstance(problem_of_opening(path), Corrupted)


def test_a_truncated_file_is_corruption(path: Path) -> None:
    fill(path)
    os.truncate(path, path.stat().st_size // 2)
    error = problem_of_opening(path)
    assert isinstance(error, Corrupted)
    assert "restore a backup" in error.hint


def test_a_file_that_is_no_database_is_corruption(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("not a database\n" * 1000)
    assert isinstance(problem_of_opening(path), Corrupted)


@pytest.mark.parametrize("kind", [b"\x0d", b"\x05"])
def test_a_page_overwritten_by_another_is_corruption(path: Path, kind: bytes) -> None:
    """Kinds of SQLite's pages: 0x0d holds rows, 0x05 leads to pages of rows."""
    fill(path)
    content = path.read_bytes()
    starts = [start for start in range(0, len(content), 4096) if content[start : start + 1] == kind]
    target = starts[-1]
    source = next(start for start in range(4096 * 8, len(content), 4096) if start not in starts)
    with path.open("r+b") as file:
        file.seek(target)
        file.write(content[source : source + 4096])
    assert isinstance(problem_of_opening(path), Corrupted)


def test_a_row_that_makes_no_sense_is_corruption(store: SqlStore, path: Path) -> None:
    with store.write() as tx:
        tx.put_backend(make_backend())
        tx.add_release(make_release())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE releases SET spec = '{}'")
        db.execute("UPDATE backends SET wanted = '[1, 2]'")
    with store.read() as view:
        with pytest.raises(Corrupted, match="digits/v1"):
            view.releases()
        with pytest.raises(Corrupted, match="digits"):
            view.backends()


def test_a_database_held_by_another_process_is_said_to_be(store: SqlStore, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="another process") as caught, store.write():
            raise AssertionError
        assert "other process" in caught.value.hint
        with store.read() as view:
            assert view.backends() == []
        other.execute("ROLLBACK")
    with store.write() as tx:
        tx.put_backend(make_backend())


def test_a_database_locked_for_good_cannot_be_opened(path: Path) -> None:
    fill(path, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert isinstance(problem_of_opening(path), Unavailable)


OPEN_AND_COUNT = """
import sys
from pathlib import Path
from prometheus_ai.adapters.stores.sql import SqlStore
print('ready', flush=True)
sys.stdout.flush()
sys.stdin.readline()
store = SqlStore.open(Path(sys.argv[1]))
with store.write() as tx:
    tx.next_table_generation()
"""


def test_several_processes_may_make_the_database_at_once(path: Path) -> None:
    command = [sys.executable, "-c", OPEN_AND_COUNT, str(path)]
    pipe = subprocess.PIPE
    children = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(3)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=60)
    assert [child.returncode for child in children] == [0, 0, 0]
    store = SqlStore.open(path)
    with store.read() as view:
        assert view.table_generation() == 3
    store.close()


def test_a_writer_waits_no_longer_than_the_bound(store: SqlStore) -> None:
    opened, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.write():
            opened.set()
            done.wait(timeout=30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert opened.wait(timeout=30)
    with pytest.raises(Unavailable, match="another change"), store.write():
        raise AssertionError
    done.set()
    thread.join(timeout=30)


def write_until_full(store: SqlStore) -> tuple[int, Unavailable]:
    """Add backends until the store refuses; return how many were acknowledged."""
    for number in range(2_000):
        try:
            with store.write() as tx:
                tx.put_backend(make_backend(f"b{number}"))
                tx.add_release(replace(make_release(f"b{number}"), created_by="x" * 5_000))
                tx.put_release_state(make_state(f"b{number}"))
        except Unavailable as error:
            return number, error
    raise AssertionError("the disk never filled up")


def check_after_full(store: SqlStore, path: Path, written: int) -> None:
    with store.read() as view:
        assert len(view.backends()) == len(view.releases()) == len(view.release_states()) == written
    store.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_full_database_keeps_what_was_acknowledged_and_nothing_half(path: Path) -> None:
    store = SqlStore.open(path)
    with store._read() as view:
        connection = view._connection.connection.dbapi_connection
        assert connection is not None
        connection.execute("PRAGMA max_page_count = 120")
    written, error = write_until_full(store)
    assert written > 0
    assert "full" in str(error)
    assert "free some space" in error.hint
    check_after_full(store, path, written)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_keeps_what_was_acknowledged_and_nothing_half(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
        timeout=30,
    )
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        path = disk / "state" / "pai.db"
        store = SqlStore.open(path)
        written, error = write_until_full(store)
        assert written > 0
        assert str(path) in str(error)
        check_after_full(store, path, written)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=30)


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = problem_of_opening(tmp_path / "file" / "state" / "pai.db")
    assert isinstance(error, Unavailable)
    assert "writable" in error.hint


READ_ONLY = """
import os, sys
from pathlib import Path
from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.domain.errors import Unavailable
if os.geteuid() == 0:
    os.setuid(65534)
for name in sys.argv[1:]:
    try:
        SqlStore.open(Path(name))
    except Unavailable as error:
        print(error, "|", error.hint)
"""


def test_a_read_only_folder_is_unavailable(path: Path, tmp_path: Path) -> None:
    fill(path, 1)
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (path.parent, empty):
        folder.chmod(0o555)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    tmp_path.chmod(0o755)
    path.chmod(0o444)
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(path), str(empty / "pai.db")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stdout
    assert all("cannot be opened for writing" in line and "writable" in line for line in lines)


def test_a_second_control_plane_is_told_who_holds_the_home(tmp_path: Path) -> None:
    with (
        HomeLock.acquire(tmp_path / "run"),
        pytest.raises(Conflict, match=f"process {os.getpid()}") as caught,
    ):
        HomeLock.acquire(tmp_path / "run")
    assert "pai down" in caught.value.hint
    with HomeLock.acquire(tmp_path / "run") as lock:
        lock.release()
        lock.release()


def test_the_home_lock_ends_with_its_process(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from prometheus_ai.adapters.stores.home_lock import HomeLock\n"
        "lock = HomeLock.acquire(pathlib.Path(sys.argv[1]))\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(Conflict, match=f"process {child.pid}"):
            HomeLock.acquire(tmp_path)
        child.kill()
        child.wait(timeout=30)
    HomeLock.acquire(tmp_path).release()


def test_a_child_does_not_keep_the_home_lock(tmp_path: Path) -> None:
    lock = HomeLock.acquire(tmp_path)
    with subprocess.Popen(["sleep", "30"]) as child:
        lock.release()
        handle = os.open(lock.path, os.O_RDWR)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
        child.kill()


def test_a_lock_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="lock file"):
        HomeLock.acquire(tmp_path / "file" / "run")
