"""The fake driver keeps the port's promises."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from prometheus_ai.ports.driver import ReplicaOrder
from prometheus_ai.testing.driver_contract import DriverContract
from prometheus_ai.testing.fake_clock import FakeClock
from prometheus_ai.testing.fake_driver import Behaviour, FakeDriver
from prometheus_ai.testing.state_values import make_release

STEP_S = 0.05
STEPS_MAX = 1000


class FakeHarness:
    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.driver = FakeDriver(self.clock)
        self.folder = folder

    def reopen(self) -> FakeDriver:
        return FakeDriver(self.clock, self.driver.target)

    def order(self, replica_id: str, behaviour: Behaviour) -> ReplicaOrder:
        self.driver.target.behaviours[replica_id] = behaviour
        lock = self.folder / "requirements.lock"
        lock.write_text("# nothing\n")
        release = make_release()
        digest = f"sha256:{hashlib.sha256(lock.read_bytes()).hexdigest()}"
        inputs = replace(release.inputs, lock=replace(release.inputs.lock, digest=digest))
        release = replace(release, inputs=inputs)
        return ReplicaOrder(id=replica_id, release=release, model_path=self.folder, lock_path=lock)

    def until(self, happened: Callable[[], bool]) -> None:
        for _ in range(STEPS_MAX):
            if happened():
                return
            self.clock.advance(STEP_S)
        raise AssertionError(f"never happened; seen: {self.driver.observe()}")


class TestFakeDriver(DriverContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> FakeHarness:
        return FakeHarness(tmp_path)
