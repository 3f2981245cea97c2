"""Every StateStore keeps decisions as the port promises."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.domain.decision import Decider, DecisionRecord
from prometheus_ai.ports.state_store import StateStore
from prometheus_ai.testing.memory_store import MemoryStore
from prometheus_ai.testing.state_values import NOW

LONG_AGO = NOW - timedelta(days=1)


@pytest.fixture(params=["memory", "sql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    store: StateStore = (
        MemoryStore() if request.param == "memory" else SqlStore.open(tmp_path / "s" / "pai.db")
    )
    yield store
    store.close()


def made(
    index: int = 0, backend: str = "digits", decider: Decider = Decider.ROLLOUT
) -> DecisionRecord:
    return DecisionRecord(
        at=NOW + timedelta(seconds=index), backend=backend, version="v2", decider=decider,
        act="hold", reason=f"because {index}", inputs='{"a":0.1}', answer='{"b":[1,2]}',
    )  # fmt: skip


def test_a_decision_comes_back_equal(store: StateStore) -> None:
    with store.write() as tx:
        number = tx.add_decision(made(), 10)
    with store.read() as view:
        assert view.decision("digits", number) == replace(made(), id=number)
        assert view.decision("other", number) is None
        assert view.decision("digits", number + 1) is None


def test_the_newest_decisions_of_a_backend_come_oldest_first(store: StateStore) -> None:
    with store.write() as tx:
        for index in range(5):
            tx.add_decision(made(index), 10)
            tx.add_decision(made(index, "other"), 10)
    with store.read() as view:
        found = view.decisions("digits", LONG_AGO, 3)
        assert [record.reason for record in found] == ["because 2", "because 3", "because 4"]
        since = view.decisions("digits", NOW + timedelta(seconds=3), 10)
        assert [record.reason for record in since] == ["because 3", "because 4"]


def test_each_decider_of_a_backend_keeps_its_newest(store: StateStore) -> None:
    with store.write() as tx:
        for index in range(7):
            tx.add_decision(made(index), 3)
        tx.add_decision(made(7, decider=Decider.SCALING), 3)
    with store.read() as view:
        found = view.decisions("digits", LONG_AGO, 100)
    assert [record.reason[-1] for record in found] == ["4", "5", "6", "7"]


def test_ids_are_never_given_twice(store: StateStore) -> None:
    with store.write() as tx:
        first = tx.add_decision(made(), 10)
        assert tx.forget_decisions(NOW + timedelta(seconds=1)) == 1
    with store.write() as tx:
        assert tx.add_decision(made(1), 10) > first


def test_a_change_that_raises_leaves_no_decision(store: StateStore) -> None:
    def fail() -> None:
        with store.write() as tx:
            tx.add_decision(made(), 10)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with store.read() as view:
        assert view.decisions("digits", LONG_AGO, 10) == []
