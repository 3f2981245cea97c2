"""The local driver keeps the port's promises, on real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prometheus_ai.testing.driver_contract import DriverContract
from tests.contract.local_target import LocalTarget


class TestLocalDriver(DriverContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[LocalTarget]:
        target = LocalTarget(tmp_path)
        yield target
        target.close()
