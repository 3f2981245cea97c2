"""A local target whose environments hold a stand-in for the model server."""

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_ai.adapters.drivers.local.driver import LocalDriver, LocalLimits
from prometheus_ai.adapters.drivers.local.machine import Machine, measure
from prometheus_ai.domain.release import Artefact, Inputs, Release
from prometheus_ai.domain.replica import ExitCause, Observed, ReplicaPhase
from prometheus_ai.domain.spec import ModelSpec, ResourcesSpec, Spec, TimeoutsSpec
from prometheus_ai.ports.driver import ReplicaOrder
from prometheus_ai.testing.fake_driver import Behaviour

STANDIN = Path(__file__).with_name("standin_runtime.py")
BOUND_S = 30.0
_CODES = {ExitCause.LOAD_FAILED: 65, ExitCause.ENGINE_MISSING: 69, ExitCause.BAD_CONFIG: 64}


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
        plan: dict[str, Any] = {
            "ready_after_s": behaviour.ready_after_s,
            "stuck_after_s": behaviour.stuck_after_s,
            "exit_after_s": behaviour.exit_after_s,
            "exit_code": _CODES.get(behaviour.exit_cause, behaviour.exit_code),
            "error": behaviour.exit_message,
            "drain_takes_s": behaviour.drain_takes_s,
        }
        return self.order_plan(replica_id, plan)

    def order_plan(
        self,
        replica_id: str,
        plan: dict[str, Any],
        *,
        memory: str = "256Mi",
        progress_s: float = 30,
    ) -> ReplicaOrder:
        """Return an order for a stand-in that follows ``plan``."""
        model, lock = self.root / f"{replica_id}.model", self.root / "requirements.lock"
        model.write_text(json.dumps(plan))
        lock.write_text("# nothing\n")
        release = Release(
            backend="digits",
            version="v1",
            number=1,
            digest=f"sha256:{'1' * 64}",
            spec=Spec(
                name="digits",
                model=ModelSpec(path="model"),
                resources=ResourcesSpec(memory=memory),
                timeouts=TimeoutsSpec(progress_s=progress_s),
            ),
            inputs=Inputs(
                model=_artefact(model),
                lock=_artefact(lock),
                python="3.11",
                runtime="0.1.0+sha256:00",
                engine="onnx",
            ),
            created_at=datetime.now(UTC),
            created_by="test",
        )
        return ReplicaOrder(id=replica_id, release=release, model_path=model, lock_path=lock)

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


def _artefact(path: Path) -> Artefact:
    content = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Artefact(digest=digest, name=path.name, size_bytes=len(content))
