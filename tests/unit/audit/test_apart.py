"""A long log is verified in a process of its own, with the same result."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.audit import Checkpoint, record_events, verify
from prometheus_ai.compose.audit_check import check_apart
from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.domain.event import Event, Kind

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_another_process_finds_what_this_one_would(tmp_path: Path) -> None:
    path = tmp_path / "pai.db"
    store = SqlStore.open(path)
    event = Event(
        kind=Kind.ROUTE_WANTED, actor="alice", reason="step", before={}, after={}, at=NOON
    )
    try:
        with store.write() as tx:
            record_events(tx, [event] * 9)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("DELETE FROM audit_head")
            db.execute("UPDATE audit_records SET event = '{}' WHERE position = 4")
        vouched = Checkpoint(size=12, root_hash=b"a" * 32, at=NOON, source="a copy")
        with store.read() as reading:
            here = verify(reading, checkpoints=[vouched])
    finally:
        store.close()
    apart = check_apart(path, [vouched])
    assert apart.findings == here.findings
    assert (apart.records, apart.root_hash, apart.checkpoints) == (9, here.root_hash, 1)
    assert len(apart.findings) >= 3


def test_a_database_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pai.db"
    path.write_bytes(b"no database at all" * 300)
    with pytest.raises(Unavailable, match=r"pai\.db"):
        check_apart(path, [])
