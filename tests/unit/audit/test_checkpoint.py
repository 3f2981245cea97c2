"""The checkpoint outside the database, and the export that others verify."""

import json
import re
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prometheus_ai.audit import (
    Checkpoint,
    advance_checkpoint,
    export,
    parse_checkpoint,
    read_checkpoint,
    record_events,
)
from prometheus_ai.domain.errors import Corrupted, InvalidInput, Unavailable
from prometheus_ai.domain.event import Event, Kind
from prometheus_ai.testing.memory_store import MemoryStore

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "audit.md"


def filled(count: int, actor: str = "alice") -> MemoryStore:
    store = MemoryStore()
    append(store, count, actor)
    return store


def append(store: MemoryStore, count: int, actor: str = "alice") -> None:
    events = [
        Event(kind=Kind.RELEASE_READY, actor=actor, reason=f"é {i}", after={"x": i / 3}, at=NOON)
        for i in range(count)
    ]
    with store.write() as tx:
        record_events(tx, events)


def advance(store: MemoryStore, path: Path, now: datetime = NOON) -> Checkpoint | None:
    with store.read() as view:
        return advance_checkpoint(view, path, now)


def test_an_empty_log_has_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "audit" / "checkpoint.json"
    assert advance(MemoryStore(), path) is None
    assert read_checkpoint(path) is None


def test_a_checkpoint_follows_the_log(tmp_path: Path) -> None:
    path = tmp_path / "audit" / "checkpoint.json"
    store = filled(3)
    first = advance(store, path)
    assert first == read_checkpoint(path)
    append(store, 4)
    second = advance(store, path, NOON + timedelta(hours=1))
    assert second is not None
    assert second == read_checkpoint(path)
    assert second.size == 7
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_is_not_written_again_when_nothing_happened(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.json"
    store = filled(3)
    first = advance(store, path)
    assert advance(store, path, NOON + timedelta(hours=1)) == first


def test_a_log_whose_head_was_deleted_is_noticed_without_a_checkpoint(tmp_path: Path) -> None:
    store = filled(3)
    store._state.head = None
    with pytest.raises(Corrupted, match="its head is gone"):
        advance(store, tmp_path / "checkpoint.json")


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        (filled(3), "newest were deleted"),
        (MemoryStore(), "newest were deleted"),
        (filled(5, "mallory"), "does not continue"),
        (filled(9, "mallory"), "does not continue"),
    ],
)
def test_evidence_of_another_log_is_never_overwritten(
    store: MemoryStore, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.json"
    kept = advance(filled(5), path)
    with pytest.raises(Corrupted, match=reason) as caught:
        advance(store, path)
    assert "pai audit verify" in caught.value.hint
    assert read_checkpoint(path) == kept


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "{}", '{"format": "other"}',
        '{"format":"pai-audit-checkpoint/1","size":-1,"root_hash":"00","at":"2026-03-01T12:00:00Z"}',
        '{"format":"pai-audit-checkpoint/1","size":"1","root_hash":"zz","at":"noon"}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.json"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=re.escape(str(path))):
        read_checkpoint(path)


def test_binary_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="not a checkpoint"):
        read_checkpoint(path)


def test_a_checkpoint_that_cannot_be_kept_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be"):
        advance(filled(1), tmp_path / "file" / "checkpoint.json")
    (tmp_path / "checkpoint.json").mkdir()
    with pytest.raises(Unavailable, match="cannot be read"):
        advance(filled(1), tmp_path / "checkpoint.json")


def test_a_checkpoint_survives_the_way_through_json() -> None:
    kept = Checkpoint(size=3, root_hash=bytes(range(32)), at=NOON, source="mine")
    assert parse_checkpoint(json.dumps(kept.to_json()), "mine") == kept


def guide_script(tmp_path: Path) -> Path:
    """The script that the guide gives to auditors, as a file."""
    found = re.search(
        r"<!-- file: verify_export.py -->\n```python\n(.*?)```", GUIDE.read_text(), re.DOTALL
    )
    assert found is not None, "the guide has lost its script"
    path = tmp_path / "verify_export.py"
    path.write_text(found[1])
    return path


def run_script(tmp_path: Path, lines: list[str]) -> subprocess.CompletedProcess[str]:
    exported = tmp_path / "audit.jsonl"
    exported.write_text("".join(lines))
    return subprocess.run(
        [sys.executable, "-I", str(guide_script(tmp_path)), str(exported)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("count", [0, 1, 2, 5, 64, 1100])
def test_an_export_is_verified_without_us(count: int, tmp_path: Path) -> None:
    store = filled(count)
    with store.read() as view:
        lines = list(export(view, NOON))
        head = view.audit_head()
    assert len(lines) == count + 2
    done = run_script(tmp_path, lines)
    assert done.returncode == 0, done.stderr
    assert f"{count} records" in done.stdout
    if head is not None:
        assert head.root_hash.hex() in done.stdout


def test_a_changed_export_is_noticed_without_us(tmp_path: Path) -> None:
    with filled(9).read() as view:
        lines = list(export(view, NOON))
    edited = lines[3].replace("alice", "mallory")
    for wrong in (
        [*lines[:3], edited, *lines[4:]],
        [*lines[:3], *lines[4:]],
        [*lines[:3], lines[4], lines[3], *lines[5:]],
        lines[:-1],
        lines[:-2],
        [*lines[:-2], lines[-1]],
    ):
        done = run_script(tmp_path, wrong)
        assert done.returncode != 0, done.stdout
