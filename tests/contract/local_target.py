"""A local target whose environments hold a stand-in for the model server."""

import hashlib
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_ai.adapters.drivers.local.driver import LocalDriver, LocalLimits
from prometheus_ai.adapters.drivers.local.machine import Machine, measure
from prometheus_ai.domain.replica import Observed, ReplicaPhase
from prometheus_ai.ports.driver import ReplicaOrder
from prometheus_ai.testing.fake_driver import Behaviour
from tests.contract.orders import STANDIN, plan_of, standin_order

BOUND_S = 30.0


class StandinEnvironments:
    """An EnvironmentMaker whose environments are this Python and the stand-in."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def make(
        self, lock_path: Path, *, python: str, runtime: str, progress: Callable[[str], None]
    ) -> Path:
        digest = hashlib.sha256(lock_path.read_bytes()).hexdigest()
        folder = self._root / digest / "bin"
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / "python").symlink_to(Path(sys.executable).resolve())
            shutil.copyfile(STANDIN, folder / "pai-runtime")
        progress("made")
        return folder.parent

    def find(self, lock_path: Path, *, python: str, runtime: str) -> Path | None:
        return self.make(lock_path, python=python, runtime=runtime, progress=lambda _: None)

    def prunable(self, keep: frozenset[str]) -> tuple[str, ...]:
        if not self._root.exists():
            return ()
        return tuple(p.name for p in self._root.iterdir() if f"sha256:{p.name}" not in keep)

    def prune(self, names: tuple[str, ...]) -> int:
        known = [self._root / name for name in names if (self._root / name).exists()]
        for path in known:
            shutil.rmtree(path)
        return len(known)


class LocalTarget:
    """The harness of the driver contract over real processes."""

    def __init__(self, root: Path, machine: Machine | None = None) -> None:
        self.root = root
        self.machine = machine or measure()
        self.limits = LocalLimits(log_bytes_max=200_000)
        self.environments = StandinEnvironments(root / "environments")
        self.drivers: list[LocalDriver] = []
        self.driver = self.reopen()

    def reopen(self) -> LocalDriver:
        driver = LocalDriver(
            self.root / "replicas", self.environments, limits=self.limits, machine=self.machine
        )
        self.drivers.append(driver)
        return driver

    def order(self, replica_id: str, behaviour: Behaviour) -> ReplicaOrder:
        return self.order_plan(replica_id, plan_of(behaviour))

    def order_plan(self, replica_id: str, plan: dict[str, Any], **more: Any) -> ReplicaOrder:
        """Return an order for a stand-in that follows ``plan``."""
        return standin_order(self.root, replica_id, plan, **more)

    def until(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + BOUND_S
        while not happened():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {BOUND_S:g} s; seen: {self.driver.observe()}")
            time.sleep(0.01)

    def until_phase(self, replica_id: str, phase: ReplicaPhase) -> Observed:
        """Wait until a replica is in a phase, and return it."""
        self.until(lambda: self.see(replica_id).phase is phase)
        return self.see(replica_id)

    def see(self, replica_id: str) -> Observed:
        """Return what the newest driver sees of a replica."""
        return next(seen for seen in self.drivers[-1].observe() if seen.id == replica_id)

    def close(self) -> None:
        """End every replica and driver."""
        driver = self.drivers[-1]
        for seen in driver.observe():
            driver.stop(seen.id, 0)
        self.until(lambda: all(seen.phase is ReplicaPhase.EXITED for seen in driver.observe()))
        for opened in self.drivers:
            opened.close()
