"""Verification says which record was touched, whatever else was changed to hide it."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.audit import (
    Checkpoint,
    FindingKind,
    VerificationReport,
    record_events,
    verify,
)
from prometheus_ai.audit.canonical import canonical_json
from prometheus_ai.audit.tree import NodeId, completed_by, fold, leaf_hash, peaks
from prometheus_ai.domain.event import AuditRecord, Event, Kind, TreeHead
from prometheus_ai.testing.memory_store import MemoryStore

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SIZE = 21

Attack = Callable[[sqlite3.Connection], object]
Found = list[tuple[FindingKind, int, int]]


def make_event(number: int) -> Event:
    return Event(
        kind=Kind.ROUTE_WANTED,
        actor="alice",
        reason=f"step {number}",
        backend="digits",
        before={"v1": 100},
        after={"v1": 100 - number % 50, "share": number / 7},
        at=NOON,
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "pai.db"
    store = SqlStore.open(path)
    with store.write() as tx:
        record_events(tx, [make_event(number) for number in range(SIZE)])
    store.close()
    return path


def check(path: Path, checkpoints: Sequence[Checkpoint] = ()) -> VerificationReport:
    store = SqlStore.open(path)
    try:
        with store.read() as view:
            return verify(view, checkpoints=checkpoints)
    finally:
        store.close()


def attack(path: Path, change: Attack) -> Found:
    with closing(sqlite3.connect(path)) as connection, connection:
        change(connection)
    report = check(path)
    assert report.is_sound == (not report.findings)
    return [(found.kind, found.first, found.last) for found in report.findings]


def key(level: int, index: int) -> int:
    return ((2 * index + 1) << level) - 1


def node(connection: sqlite3.Connection, level: int, index: int) -> bytes:
    query = "SELECT hash FROM audit_nodes WHERE id = ?"
    found: bytes = connection.execute(query, (key(level, index),)).fetchone()[0]
    return found


def run(connection: sqlite3.Connection, *, statement: str, parameter: int) -> None:
    connection.execute(statement, (parameter,))


def edit(connection: sqlite3.Connection, position: int) -> bytes:
    """Change a record's actor and return the hash of what it is now."""
    query = "SELECT event FROM audit_records WHERE position = ?"
    event = json.loads(connection.execute(query, (position,)).fetchone()[0])
    event["actor"] = "mallory"
    connection.execute(
        "UPDATE audit_records SET event = ? WHERE position = ?", (json.dumps(event), position)
    )
    return leaf_hash(canonical_json(event))


def edit_with_hashes(connection: sqlite3.Connection, position: int, levels: int) -> None:
    """Change a record, the hash beside it and the tree above it up to a level."""
    made = edit(connection, position)
    connection.execute(
        "UPDATE audit_records SET leaf_hash = ? WHERE position = ?", (made, position)
    )
    index = position
    for level in range(levels):
        connection.execute(
            "UPDATE audit_nodes SET hash = ? WHERE id = ?", (made, key(level, index))
        )
        sibling = node(connection, level, index ^ 1)
        pair = sibling + made if index & 1 else made + sibling
        made, index = hashlib.sha256(b"\x01" + pair).digest(), index >> 1


def swap(connection: sqlite3.Connection, first: int, second: int) -> None:
    update = "UPDATE audit_records SET position = ? WHERE position = ?"
    for target, source in ((-1, first), (first, second), (second, -1)):
        connection.execute(update, (target, source))


def shift(connection: sqlite3.Connection, start: int, by: int) -> None:
    """Renumber the records from ``start`` on."""
    far = 1_000_000
    connection.execute(
        "UPDATE audit_records SET position = position + ? WHERE position >= ?", (far, start)
    )
    connection.execute(
        "UPDATE audit_records SET position = position - ? WHERE position >= ?", (far - by, far)
    )


def insert(connection: sqlite3.Connection, position: int, claimed: int) -> None:
    event = {"index": claimed, "actor": "mallory", "backend": None}
    connection.execute(
        "INSERT INTO audit_records VALUES (?, NULL, ?, ?)",
        (position, json.dumps(event), leaf_hash(canonical_json(event))),
    )


def test_an_untouched_log_is_sound(log: Path) -> None:
    report = check(log)
    assert report.is_sound
    assert report.records == SIZE
    assert report.head == TreeHead(size=SIZE, root_hash=report.root_hash)


def test_an_empty_log_is_sound(tmp_path: Path) -> None:
    report = check(tmp_path / "new.db")
    assert report.is_sound
    assert report.records == 0


@pytest.mark.parametrize("position", [0, 1, 7, 19, 20])
def test_an_edited_record_is_named(log: Path, position: int) -> None:
    found = attack(log, lambda db: edit(db, position))
    assert found == [(FindingKind.RECORD_EDITED, position, position)]


@pytest.mark.parametrize("position", [0, 1, 7, 19, 20])
def test_an_edited_record_is_named_though_its_hash_was_edited_too(log: Path, position: int) -> None:
    found = attack(log, lambda db: edit_with_hashes(db, position, 0))
    assert found == [(FindingKind.RECORD_EDITED, position, position)]


def test_a_record_edited_with_both_copies_of_its_hash_is_named_with_its_neighbour(
    log: Path,
) -> None:
    found = attack(log, lambda db: edit_with_hashes(db, 6, 1))
    assert found == [(FindingKind.RECORD_EDITED, 6, 7)]


def test_editing_the_tree_up_to_a_level_leaves_a_range_of_that_size(log: Path) -> None:
    assert attack(log, lambda db: edit_with_hashes(db, 6, 3)) == [(FindingKind.RECORD_EDITED, 0, 7)]


def test_a_record_that_is_no_json_any_more_is_named(log: Path) -> None:
    found = attack(
        log, lambda db: db.execute("UPDATE audit_records SET event='?' WHERE position=4")
    )
    assert found == [(FindingKind.RECORD_EDITED, 4, 4)]


@pytest.mark.parametrize("text", ['{"actor":"mallory",', '{"zz":NaN,'])
def test_a_key_that_only_some_readers_see_is_an_edit(log: Path, text: str) -> None:
    def change(db: sqlite3.Connection) -> None:
        db.execute(
            "UPDATE audit_records SET event = ? || substr(event, 2) WHERE position = 4", (text,)
        )

    assert attack(log, change) == [(FindingKind.RECORD_EDITED, 4, 4)]


def test_hiding_a_record_from_the_view_of_its_backend_is_an_edit(log: Path) -> None:
    found = attack(
        log, lambda db: db.execute("UPDATE audit_records SET backend='x' WHERE position=4")
    )
    assert found == [(FindingKind.RECORD_EDITED, 4, 4)]


def test_a_deleted_record_is_named(log: Path) -> None:
    found = attack(log, lambda db: db.execute("DELETE FROM audit_records WHERE position = 5"))
    assert found == [(FindingKind.RECORD_DELETED, 5, 5)]


def test_deleted_newest_records_are_named(log: Path) -> None:
    found = attack(log, lambda db: db.execute("DELETE FROM audit_records WHERE position >= 18"))
    assert found == [(FindingKind.RECORD_DELETED, 18, 20)]


def test_a_deleted_record_is_named_though_the_rest_was_renumbered(log: Path) -> None:
    def change(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM audit_records WHERE position = 5")
        shift(db, 6, -1)

    found = attack(log, change)
    assert found == [(FindingKind.RECORD_DELETED, 5, 5), (FindingKind.RECORD_MOVED, 6, 20)]


def test_a_record_deleted_with_its_stored_hash_is_named(log: Path) -> None:
    def change(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM audit_records WHERE position = 5")
        db.execute("DELETE FROM audit_nodes WHERE id = ?", (key(0, 5),))

    assert attack(log, change) == [(FindingKind.RECORD_DELETED, 5, 5)]


def test_swapped_records_are_named(log: Path) -> None:
    found = attack(log, lambda db: swap(db, 3, 9))
    assert found == [(FindingKind.RECORD_MOVED, 3, 3), (FindingKind.RECORD_MOVED, 9, 9)]


@pytest.mark.parametrize("claimed", [5, 4, 40])
def test_an_inserted_record_is_named(log: Path, claimed: int) -> None:
    def change(db: sqlite3.Connection) -> None:
        shift(db, 5, 1)
        insert(db, 5, claimed)

    found = attack(log, change)
    assert found == [(FindingKind.RECORD_INSERTED, 5, 5), (FindingKind.RECORD_MOVED, 5, 20)]


def test_a_record_added_at_the_end_is_named(log: Path) -> None:
    found = attack(log, lambda db: insert(db, SIZE, SIZE))
    assert found == [(FindingKind.RECORD_INSERTED, SIZE, SIZE)]


def test_a_record_replaced_by_a_copy_of_another_is_gone(log: Path) -> None:
    def change(db: sqlite3.Connection) -> None:
        db.execute(
            "UPDATE audit_records SET (event, leaf_hash) ="
            " (SELECT event, leaf_hash FROM audit_records WHERE position = 2) WHERE position = 8"
        )

    found = attack(log, change)
    assert found == [(FindingKind.RECORD_MOVED, 2, 2), (FindingKind.RECORD_DELETED, 8, 8)]


def test_an_edited_leaf_hash_is_told_from_an_edited_record(log: Path) -> None:
    found = attack(
        log, lambda db: db.execute("UPDATE audit_records SET leaf_hash = x'00' WHERE position = 4")
    )
    assert found == [(FindingKind.LEAF_HASH_EDITED, 4, 4)]


@pytest.mark.parametrize(
    ("level", "index", "first", "last"),
    [(0, 4, 4, 4), (0, 20, 20, 20), (2, 1, 4, 7), (4, 0, 0, 15)],
)
def test_an_edited_tree_hash_accuses_no_record(
    log: Path, level: int, index: int, first: int, last: int
) -> None:
    for statement in (
        "UPDATE audit_nodes SET hash = zeroblob(32) WHERE id = ?",
        "DELETE FROM audit_nodes WHERE id = ?",
    ):
        found = attack(log, partial(run, statement=statement, parameter=key(level, index)))
        assert found == [(FindingKind.NODE_EDITED, first, last)]


def test_a_tree_that_is_gone_accuses_no_record(log: Path) -> None:
    found = attack(log, lambda db: db.execute("DELETE FROM audit_nodes"))
    assert found == [(FindingKind.NODE_EDITED, 0, 20)]


def test_an_edited_head_is_named(log: Path) -> None:
    found = attack(log, lambda db: db.execute("UPDATE audit_head SET root_hash = zeroblob(32)"))
    assert found == [(FindingKind.HEAD_EDITED, 0, 20)]


def test_a_head_that_is_gone_is_named(log: Path) -> None:
    found = attack(log, lambda db: db.execute("DELETE FROM audit_head"))
    assert found == [(FindingKind.HEAD_EDITED, 0, 20)]


def test_a_head_set_back_is_named(log: Path) -> None:
    found = attack(log, lambda db: db.execute("UPDATE audit_head SET size = 19"))
    assert (FindingKind.HEAD_EDITED, 0, 18) in found


def test_several_attacks_are_all_named(log: Path) -> None:
    def change(db: sqlite3.Connection) -> None:
        edit(db, 2)
        db.execute("DELETE FROM audit_records WHERE position = 11")
        swap(db, 16, 17)

    assert attack(log, change) == [
        (FindingKind.RECORD_EDITED, 2, 2),
        (FindingKind.RECORD_DELETED, 11, 11),
        (FindingKind.RECORD_MOVED, 16, 16),
        (FindingKind.RECORD_MOVED, 17, 17),
    ]


def checkpoint_of(report: VerificationReport) -> Checkpoint:
    return Checkpoint(size=report.records, root_hash=report.root_hash, at=NOON, source="mine")


def rewrite(db: sqlite3.Connection, start: int, size: int) -> None:
    """Forge a log: record ``start`` changed, and every hash made to fit."""
    edit(db, start)
    stored = db.execute("SELECT event FROM audit_records ORDER BY position").fetchall()
    nodes: dict[NodeId, bytes] = {}
    for position, (text,) in enumerate(stored[:size]):
        leaf = leaf_hash(canonical_json(json.loads(text)))
        nodes.update(completed_by(position, leaf, nodes))
        db.execute("UPDATE audit_records SET leaf_hash = ? WHERE position = ?", (leaf, position))
    db.execute("DELETE FROM audit_nodes")
    db.executemany(
        "INSERT INTO audit_nodes VALUES (?, ?)",
        [(key(level, index), node) for (level, index), node in nodes.items()],
    )
    root = fold([nodes[node_id] for node_id in peaks(0, size)])
    db.execute("UPDATE audit_head SET size = ?, root_hash = ?", (size, root))
    db.execute("DELETE FROM audit_records WHERE position >= ?", (size,))


def test_a_log_that_grew_matches_its_checkpoint(log: Path) -> None:
    before = checkpoint_of(check(log))
    store = SqlStore.open(log)
    with store.write() as tx:
        record_events(tx, [make_event(number) for number in range(20)])
    store.close()
    report = check(log, [before])
    assert report.is_sound
    assert report.checkpoints == 1


def test_a_cleanly_shortened_log_is_noticed_by_its_checkpoint(log: Path) -> None:
    before = checkpoint_of(check(log))
    store = SqlStore.open(log.with_name("short.db"))
    with store.write() as tx:
        record_events(tx, [make_event(number) for number in range(SIZE - 4)])
    store.close()
    assert check(log.with_name("short.db")).is_sound
    [found] = check(log.with_name("short.db"), [before]).findings
    assert (found.kind, found.first, found.last) == (FindingKind.ROLLED_BACK, 17, 20)
    assert "mine" in found.detail


def test_a_perfectly_rewritten_log_is_noticed_by_its_checkpoint(log: Path) -> None:
    store = SqlStore.open(log.with_name("prefix.db"))
    with store.write() as tx:
        record_events(tx, [make_event(number) for number in range(9)])
    store.close()
    early, late = checkpoint_of(check(log.with_name("prefix.db"))), checkpoint_of(check(log))
    assert attack(log, lambda db: rewrite(db, 12, SIZE)) == []
    [found] = check(log, [late, early]).findings
    assert (found.kind, found.first, found.last) == (FindingKind.REWRITTEN, 9, 20)


def test_progress_is_told_while_a_long_log_is_read() -> None:
    store = MemoryStore()
    with store.write() as tx:
        record_events(tx, [make_event(number) for number in range(2500)])
    told: list[int] = []
    with store.read() as view:
        assert verify(view, progress=told.append).is_sound
    assert told == [1025, 2049]


class Tampered(MemoryStore):
    """A store whose records can be replaced."""

    def replace(self, records: Sequence[AuditRecord]) -> None:
        self._state.audit[:] = records


@given(size=st.integers(1, 40), data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_change_to_one_record_names_that_record(size: int, data: st.DataObject) -> None:
    store = Tampered()
    with store.write() as tx:
        records = record_events(tx, [make_event(number) for number in range(size)])
    place = data.draw(st.integers(0, size - 1))
    field = data.draw(st.sampled_from(sorted(records[place].event)))
    event = {**records[place].event, field: "changed"}
    hashed = data.draw(
        st.sampled_from([records[place].leaf_hash, leaf_hash(canonical_json(event))])
    )
    records[place] = AuditRecord(index=place, event=event, leaf_hash=hashed)
    store.replace(records)
    with store.read() as view:
        found = verify(view).findings
    assert [(f.kind, f.first, f.last) for f in found] == [(FindingKind.RECORD_EDITED, place, place)]


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    kinds = st.sampled_from(["edit", "edit_both", "delete", "swap", "copy", "node", "no_node"])
    spot = st.integers(0, 200)
    return draw(st.lists(st.tuples(kinds, spot, spot), min_size=1, max_size=6))


def damage(store: "Tampered", kind: str, one: int, other: int) -> None:
    state = store._state
    records, nodes = state.audit, state.nodes
    if kind in ("node", "no_node") and nodes:
        node_id = sorted(nodes)[one % len(nodes)]
        del nodes[node_id]
        if kind == "node":
            nodes[node_id] = bytes([other % 251]) * 32
    if not records or kind in ("node", "no_node"):
        return
    one, other = one % len(records), other % len(records)
    if kind == "delete":
        del records[one]
    elif kind == "swap":
        left, right = records[one], records[other]
        records[one] = AuditRecord(index=left.index, event=right.event, leaf_hash=right.leaf_hash)
        records[other] = AuditRecord(index=right.index, event=left.event, leaf_hash=left.leaf_hash)
    elif kind == "copy":
        copied = records[other]
        records[one] = AuditRecord(
            index=records[one].index, event=copied.event, leaf_hash=copied.leaf_hash
        )
    else:
        event = {**records[one].event, "actor": f"mallory {other}"}
        made = leaf_hash(canonical_json(event))
        leaf = made if kind == "edit_both" else records[one].leaf_hash
        records[one] = AuditRecord(index=records[one].index, event=event, leaf_hash=leaf)
        if kind == "edit_both" and other % 2:
            nodes[0, records[one].index] = made


@given(size=st.integers(1, 40), done=damages())
@settings(max_examples=400, deadline=None)
def test_no_damage_passes_and_none_breaks_verification(
    size: int, done: list[tuple[str, int, int]]
) -> None:
    store = Tampered()
    with store.write() as tx:
        record_events(tx, [make_event(number) for number in range(size)])
    before = ([*store._state.audit], dict(store._state.nodes))
    for kind, one, other in done:
        damage(store, kind, one, other)
    with store.read() as view:
        report = verify(view)
    assert report.is_sound == ((store._state.audit, store._state.nodes) == before)


def test_a_large_log_replaced_as_a_whole_is_reported_within_bounds() -> None:
    store = Tampered()
    with store.write() as tx:
        records = record_events(tx, [make_event(number) for number in range(3000)])
    store.replace(
        [
            AuditRecord(
                index=record.index,
                event={**record.event, "actor": "x"} if record.index % 2 else record.event,
                leaf_hash=record.leaf_hash,
            )
            for record in records
        ]
    )
    with store.read() as view:
        report = verify(view)
    assert len(report.findings) == 1000
    assert not report.is_complete
