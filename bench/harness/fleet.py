"""A control plane over a fleet of fake replicas, on a real store and a real clock."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.compose.clock import SystemClock
from prometheus_ai.control.control_plane import ControlPlane
from prometheus_ai.control.loop.passes import reconcile_once
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker, DeployRequest
from prometheus_ai.domain.spec import ModelSpec, Spec
from prometheus_ai.testing.fake_artefact_store import FakeArtefactStore
from prometheus_ai.testing.fake_driver import FakeDriver
from prometheus_ai.testing.fake_environment import FakeEnvironmentResolver
from prometheus_ai.testing.fake_gateway import FakeGateway
from prometheus_ai.testing.fake_inspector import FakeInspector

ASKER = Asker(actor="bench")


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """A control plane and what it steers."""

    control: ControlPlane
    gateway: FakeGateway
    driver: FakeDriver
    artefacts: FakeArtefactStore

    def deploy(self, name: str, content: bytes, weight: int | None = None, **fields: Any) -> None:
        """Deploy one release; ``fields`` are of its spec."""
        digest = self.artefacts.put_stream([content], expected=None)
        spec = Spec(name=name, model=ModelSpec(path="m.onnx", engine="onnx"), **fields)
        request = DeployRequest(spec=spec, model_digest=digest, model_name="m.onnx", weight=weight)
        self.control.deploy(request, ASKER)

    def settle(self, timeout_s: float = 1200.0) -> None:
        """Run passes until every backend serves what is wanted.

        Raises:
            RuntimeError: it does not come to that in time.
        """
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            reconcile_once(self.control.plane)
            backends = self.control.status().backends
            if all(b.state == "ready" and b.replicas_ready == b.replicas_wanted for b in backends):
                return
        raise RuntimeError(f"the fleet did not settle within {timeout_s:g} s")


def make_fleet(folder: Path) -> Fleet:
    """Return a control plane that steers nothing yet."""
    clock = SystemClock()
    driver, gateway = FakeDriver(clock), FakeGateway(clock)
    artefacts = FakeArtefactStore(folder / "artefacts")
    plane = Plane(
        store=SqlStore.open(folder / "pai.db"), artefacts=artefacts, drivers={"local": driver},
        routes=gateway, metrics=gateway, resolver=FakeEnvironmentResolver(),
        inspector=FakeInspector(), clock=clock, workers=ThreadPoolExecutor(max_workers=2),
    )  # fmt: skip
    return Fleet(control=ControlPlane(plane), gateway=gateway, driver=driver, artefacts=artefacts)


def build_fleet(folder: Path, backends: int) -> Fleet:
    """Deploy two releases of three replicas on each backend, at 50 % each."""
    fleet = make_fleet(folder)
    for content, weight in ((b"one", None), (b"two", 50)):
        for number in range(backends):
            fleet.deploy(f"b{number:05}", content, weight, replicas=3)
        fleet.settle()
    return fleet
