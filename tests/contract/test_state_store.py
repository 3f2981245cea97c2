"""Every StateStore keeps the port's promises."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.ports.state_store import StateStore
from prometheus_ai.testing.memory_store import MemoryStore
from prometheus_ai.testing.state_store_contract import StateStoreContract


class TestMemoryStore(StateStoreContract):
    @pytest.fixture
    def store(self) -> StateStore:
        return MemoryStore()


class TestSqlStore(StateStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[StateStore]:
        store = SqlStore.open(tmp_path / "state" / "pai.db")
        yield store
        store.close()
