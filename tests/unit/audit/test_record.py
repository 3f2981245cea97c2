"""Events become canonical JSON without secrets."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_ai.audit.canonical import canonical_json, plain
from prometheus_ai.audit.record import record_event, record_events
from prometheus_ai.audit.tree import leaf_hash
from prometheus_ai.domain.errors import Corrupted, InvalidInput
from prometheus_ai.domain.event import AuditRecord, Event, Kind, TreeHead
from prometheus_ai.domain.release import ReleasePhase
from prometheus_ai.domain.secret import new_token
from prometheus_ai.domain.spec import TensorSpec
from prometheus_ai.testing.memory_store import MemoryStore

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def make_event(after: Mapping[Any, Any] | None = None, at: datetime = NOON) -> Event:
    return Event(
        kind=Kind.ROUTE_WANTED,
        actor="alice",
        reason="canary looks good",
        backend="digits",
        version="v2",
        before={},
        after=after or {},
        at=at,
    )


def recorded(after: Mapping[Any, Any]) -> Any:
    store = MemoryStore()
    with store.write() as tx:
        return record_event(tx, make_event(after)).event["after"]


def test_a_record_is_the_hash_of_its_canonical_json() -> None:
    store = MemoryStore()
    with store.write() as tx:
        record = record_event(tx, make_event({"v2": 1000}))
    written = (
        b'{"actor":"alice","after":{"v2":1000},"at":"2026-03-01T12:00:00.000000Z",'
        b'"backend":"digits","before":{},"index":0,"kind":"route:wanted",'
        b'"reason":"canary looks good","version":"v2"}'
    )
    assert canonical_json(record.event) == written
    assert record.leaf_hash == leaf_hash(written)


def test_times_are_written_in_utc() -> None:
    abroad = timezone(timedelta(hours=-8))
    store = MemoryStore()
    with store.write() as tx:
        record = record_event(tx, make_event(at=NOON.astimezone(abroad)))
    assert record.event["at"] == "2026-03-01T12:00:00.000000Z"
    with pytest.raises(InvalidInput, match="no zone"), store.write() as tx:
        record_event(tx, make_event(at=NOON.replace(tzinfo=None)))


def test_a_clock_that_steps_back_does_not_change_the_order() -> None:
    store = MemoryStore()
    for seconds in (10, -3600, 5):
        with store.write() as tx:
            record_event(tx, make_event(at=NOON + timedelta(seconds=seconds)))
    with store.read() as view:
        assert [record.event["index"] for record in view.audit_records(0, 10)] == [0, 1, 2]


def test_values_of_every_kind_become_plain_json() -> None:
    @dataclass(frozen=True)
    class Point:
        x: int
        when: datetime

    class Level(IntEnum):
        HIGH = 3

    found = recorded(
        {
            "phase": ReleasePhase.READY,
            "level": Level.HIGH,
            "at": NOON,
            "point": Point(1, NOON),
            "tensor": TensorSpec(name="x", datatype="FP32", shape=(-1, 64)),
            "tuple": (("v1", 9000), ("v2", 1000)),
            "set": {"b", "a"},
            "none": None,
            "float": 0.1,
            "nan": float("nan"),
            "huge": 2**60,
            1: True,
        }
    )
    assert found == {
        "phase": "ready",
        "level": 3,
        "at": "2026-03-01T12:00:00.000000Z",
        "point": {"x": 1, "when": "2026-03-01T12:00:00.000000Z"},
        "tensor": {"name": "x", "datatype": "FP32", "shape": [-1, 64]},
        "tuple": [["v1", 9000], ["v2", 1000]],
        "set": ["a", "b"],
        "none": None,
        "float": 0.1,
        "nan": "nan",
        "huge": str(2**60),
        "1": True,
    }


def test_secrets_are_never_recorded() -> None:
    secret, _ = new_token(bytes(range(32)))
    shown = secret.reveal()
    found = recorded(
        {
            "value": secret,
            "text": f"created {shown}, keep it",
            "nested": [{"db_password": "hunter2", "api-key": "k", "Authorization": "Bearer x"}],
            "url": "https://bob:hunter2@models.example/m.onnx?at=1",
            "secret": None,
            "secret_name": "vault/db",
            shown: 1,
        }
    )
    assert found == {
        "value": "***",
        "text": "created ***, keep it",
        "nested": [{"db_password": "***", "api-key": "***", "Authorization": "***"}],
        "url": "https://***@models.example/m.onnx?at=1",
        "secret": None,
        "secret_name": "vault/db",
        "***": 1,
    }


def test_an_at_sign_later_in_a_url_is_no_user() -> None:
    assert plain("https://host/a@b?c=d@e") == "https://host/a@b?c=d@e"


def test_bytes_and_unknown_objects_are_refused() -> None:
    for value in (b"raw", object()):
        with pytest.raises(InvalidInput, match="cannot be recorded"):
            recorded({"value": value})


def test_text_that_is_not_unicode_is_spelled_out() -> None:
    assert recorded({"path": "caf\udce9"}) == {"path": "caf\\udce9"}


def test_a_huge_record_is_refused_and_nothing_is_kept() -> None:
    store = MemoryStore()
    with pytest.raises(InvalidInput, match="at most"), store.write() as tx:
        record_event(tx, make_event({"log": "x" * (1 << 20)}))
    with store.read() as view:
        assert view.audit_head() is None


def test_records_in_one_change_or_many_give_the_same_tree() -> None:
    one, many = MemoryStore(), MemoryStore()
    events = [make_event({"n": number}) for number in range(37)]
    with one.write() as tx:
        record_events(tx, events)
    for event in events:
        with many.write() as tx:
            record_event(tx, event)
    with one.read() as left, many.read() as right:
        assert left.audit_head() == right.audit_head()
        ids = [(level, index) for level in range(7) for index in range(37)]
        assert left.audit_nodes(ids) == right.audit_nodes(ids)
        assert len(left.audit_nodes(ids)) == 37 + 18 + 9 + 4 + 2 + 1


def test_nothing_is_built_on_a_damaged_tree() -> None:
    store = MemoryStore()
    with store.write() as tx:
        tx.append_audit(
            AuditRecord(index=0, event={}, leaf_hash=b"a" * 32),
            {(0, 0): b"a" * 32},
            TreeHead(size=1, root_hash=b"b" * 32),
        )
    with pytest.raises(Corrupted, match="does not match its head") as caught, store.write() as tx:
        record_event(tx, make_event())
    assert "pai audit verify" in caught.value.hint


def test_a_log_whose_head_was_deleted_is_not_begun_anew() -> None:
    store = MemoryStore()
    with store.write() as tx:
        record_event(tx, make_event())
    store._state.head = None
    with pytest.raises(Corrupted, match="its head is gone") as caught, store.write() as tx:
        record_event(tx, make_event())
    assert "pai audit verify" in caught.value.hint


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(value=json_values)
@settings(max_examples=300, deadline=None)
def test_any_json_like_value_can_be_recorded(value: object) -> None:
    assert canonical_json({"value": plain(value)})
    assert plain(plain(value)) == plain(value)
