"""Three worlds with the same verbs: all fake, processes on this machine, containers on a Docker Engine."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx

from prometheus_ai.control.loop.passes import reconcile_once
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.route import WEIGHT_SUM
from tests.e2e.installation import Installation, wait_for
from tests.scenario.conftest import ASKER, Line

STEPS_MAX = 400
STEP_S = 0.5


class World(Protocol):
    """One platform with one target."""

    target: str

    def deploy(self, name: str, model: float, **fields: Any) -> str:
        """Deploy a model and return the version; does not wait."""

    def verb(self, verb: str, *words: Any, **named: Any) -> Any:
        """Call a verb of the platform by its name."""

    def view(self, name: str) -> Mapping[str, Any]:
        """Return a backend's detail."""

    def answers(self, name: str, count: int) -> Counter[str]:
        """Ask the model through the gateway and count the versions that answered."""

    def is_gone(self, name: str) -> bool:
        """Whether there is no such backend any more."""

    def crash(self, replica: str) -> None:
        """End a replica from outside, as a fault would."""

    def restart(self) -> None:
        """Lose the control plane, and bring another."""

    def until(self, what: str, is_true: Callable[[], Any]) -> None:
        """Let time pass until it is so."""


class FakeWorld:
    """A control plane over fakes; time is stepped."""

    def __init__(self, root: Path) -> None:
        self.target = "local"
        self.line = Line(root)

    def deploy(self, name: str, model: float, **fields: Any) -> str:
        deployed = self.line.deploy(str(model).encode(), name=name, target=self.target, **fields)
        return deployed.version

    def verb(self, verb: str, *words: Any, **named: Any) -> Any:
        if verb in ("promote", "rollback"):
            words = (words[0], named.get("version"))
        elif verb == "scale":
            words = (*words, None)
        return getattr(self.line.control, verb)(*words, ASKER)

    def view(self, name: str) -> Mapping[str, Any]:
        detail = self.line.control.backend(name)
        return {
            "weights": {version: float(share) for version, share in detail.summary.weights.items()},
            "releases": {one.version: one.phase for one in detail.releases},
            "replicas": {one.id: one.phase for one in detail.replicas},
        }

    def answers(self, name: str, count: int) -> Counter[str]:
        table = self.line.gateway.table
        route = next((r for r in table.backends if r.backend == name), None) if table else None
        if route is None:
            return Counter()
        served = self.line.served(name)
        shares = {version: share for version, share in route.weights if served.get(version)}
        return Counter(
            {version: count * weight // WEIGHT_SUM for version, weight in shares.items() if weight}
        )

    def is_gone(self, name: str) -> bool:
        return name not in {one.name for one in self.line.control.status().backends}

    def crash(self, replica: str) -> None:
        self.line.driver.crash(replica)

    def restart(self) -> None:
        self.line.restart()

    def until(self, what: str, is_true: Callable[[], Any]) -> None:
        for _ in range(STEPS_MAX):
            reconcile_once(self.line.plane)
            try:
                if is_true():
                    return
            except NotFound:
                pass
            self.line.clock.advance(STEP_S)
        raise AssertionError(f"{what}: never")


class RealWorld:
    """An installation of real processes; replicas are processes, or containers."""

    def __init__(self, installation: Installation, target: str) -> None:
        self.target = target
        self.installation = installation

    def deploy(self, name: str, model: float, **fields: Any) -> str:
        spec = self.installation.spec(model, **fields) | {"name": name, "target": self.target}
        return str(self.installation.client().deploy(spec, wait=False).version)

    def verb(self, verb: str, *words: Any, **named: Any) -> Any:
        client = self.installation.client()
        if verb == "rollback":
            named = {"to": named.get("version")}
        return getattr(client, verb)(*words, **named)

    def view(self, name: str) -> Mapping[str, Any]:
        detail = self.installation.client().backend(name)
        return {
            "weights": dict(detail["summary"]["weights"]),
            "releases": {one["version"]: one["phase"] for one in detail["releases"]},
            "replicas": {one["id"]: one["phase"] for one in detail["replicas"]},
        }

    def answers(self, name: str, count: int) -> Counter[str]:
        url = f"{self.installation.gateway_url}/v2/models/{name}/infer"
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}
        found: Counter[str] = Counter()
        for _ in range(count):
            answer = httpx.post(url, json={"inputs": [tensor]}, timeout=10)
            if answer.status_code == 200:
                found[answer.headers["x-pai-release"].partition("/")[2]] += 1
        return found

    def is_gone(self, name: str) -> bool:
        status = self.installation.client().status()
        return name not in {one["name"] for one in status["backends"]}

    def crash(self, replica: str) -> None:
        backend = replica.rsplit("-", 2)[0]
        replicas = self.installation.client().backend(backend)["replicas"]
        os.kill(next(one["pid"] for one in replicas if one["id"] == replica), signal.SIGKILL)

    def restart(self) -> None:
        self.installation.kill("server")
        self.installation.start("server")

    def until(self, what: str, is_true: Callable[[], Any]) -> None:
        wait_for(what, is_true, 180)
