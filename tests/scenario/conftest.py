"""A whole control plane on a fake clock, a fake target and a fake gateway."""

import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from prometheus_ai.control.answers.listen import Listener
from prometheus_ai.control.begin import begin
from prometheus_ai.control.control_plane import ControlPlane
from prometheus_ai.control.deploy import Deployed
from prometheus_ai.control.loop.passes import reconcile_once
from prometheus_ai.control.plane import Hearing, Plane
from prometheus_ai.control.requests import Asker, DeployRequest
from prometheus_ai.control.rollouts.own_metrics import OwnMetrics
from prometheus_ai.control.rollouts.replay import Replayer
from prometheus_ai.control.rollouts.tick import Judge
from prometheus_ai.domain.answers import Answer, KeptRequest, ReplicaReading
from prometheus_ai.domain.evidence import Moments
from prometheus_ai.domain.route import BackendRoute
from prometheus_ai.domain.spec import ModelSpec, Spec
from prometheus_ai.ports.driver import Capabilities
from prometheus_ai.testing.fake_answers import FakeAnswerLog, FakeReplicas
from prometheus_ai.testing.fake_artefact_store import FakeArtefactStore
from prometheus_ai.testing.fake_clock import FakeClock
from prometheus_ai.testing.fake_driver import FakeDriver, FakeTarget
from prometheus_ai.testing.fake_environment import FakeEnvironmentResolver
from prometheus_ai.testing.fake_gateway import FakeGateway
from prometheus_ai.testing.fake_inspector import FakeInspector
from prometheus_ai.testing.fake_query import FakeQuery
from prometheus_ai.testing.memory_store import MemoryStore

ASKER = Asker(actor="tester", reason="scenario")


class Inline(ThreadPoolExecutor):
    """Runs work at once, so that a scenario is one thread and one order of events."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class Line:
    """The line under test: people's verbs, and time."""

    capabilities: Capabilities | None = None
    """What the target has; None for plenty."""

    def __init__(self, root: Path) -> None:
        self.clock = FakeClock()
        self.target = FakeTarget()
        self.store = MemoryStore()
        self.gateway = FakeGateway(self.clock)
        self.artefacts = FakeArtefactStore(root)
        self.answers = FakeAnswerLog()
        self.replicas = FakeReplicas()
        self.queries = FakeQuery()
        self.restart()

    def restart(self) -> None:
        """Lose everything that lives in memory, as SIGKILL does; store, target and gateway go on."""
        self.driver = FakeDriver(self.clock, self.target, capabilities=self.capabilities)
        self.plane = Plane(
            store=self.store, artefacts=self.artefacts, drivers={"local": self.driver},
            routes=self.gateway, metrics=self.gateway, activator=self.gateway, resolver=FakeEnvironmentResolver(),
            inspector=FakeInspector(), clock=self.clock, workers=Inline(max_workers=1),
            hearing=Hearing(log=self.answers, replicas=self.replicas), database=self.queries,
        )  # fmt: skip
        self.control = ControlPlane(self.plane)

    def deploy(
        self, model: bytes = b"model", *, weight: int | None = None, **fields: Any
    ) -> Deployed:
        """Deploy a backend named digits unless told otherwise."""
        digest = self.artefacts.put_stream([model], expected=None)
        spec = Spec(
            **{"name": "digits", "model": ModelSpec(path="model.onnx", engine="onnx"), **fields}
        )
        request = DeployRequest(
            spec=spec, model_digest=digest, model_name="model.onnx", weight=weight
        )
        return self.control.deploy(request, ASKER)

    def run(self, seconds: float = 5.0, step_s: float = 0.5) -> None:
        """Let time pass, with a pass of the loop at each step."""
        passed = 0.0
        reconcile_once(self.plane)
        while passed < seconds:
            self.clock.advance(step_s)
            passed += step_s
            reconcile_once(self.plane)

    def weights(self, name: str = "digits") -> dict[str, float]:
        """Return the weights in force."""
        return dict(self.control.backend(name).summary.weights)

    def served(self, name: str = "digits") -> dict[str, int]:
        """Return how many live endpoints the gateway has for each release."""
        table = self.gateway.table
        if table is None:
            return {}
        return {
            release.version: sum(not replica.is_draining for replica in release.replicas)
            for route in table.backends
            if route.backend == name
            for release in route.releases
        }

    def phases(self, name: str = "digits") -> dict[str, str]:
        """Return each release's phase."""
        return {release.version: release.phase for release in self.control.releases(name)}


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


class Judged(Line):
    """A line whose rollouts are judged, under steady traffic split by the weights in force."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.errors: dict[str, float] = {}
        """Share of failed requests by version."""
        self.latency_s: dict[str, float] = {}
        self.label: dict[str, Callable[[random.Random], Any]] = {}
        """What a version answers, by chance; ``7`` unless said."""
        self.request_id = ""
        """What all requests are called, where clients do not tell them apart."""
        self.asked: list[str] = []
        """Request ids that users sent, newest last."""
        self.spent: dict[str, dict[str, Moments]] = {}
        self.done: dict[str, tuple[int, int]] = {}
        """Requests and errors of each replica."""
        self.queue_s: dict[str, float] = {}
        self.compute_s: dict[str, float] = {}
        """Waiting for and inside the engine, by version."""
        self.records = False
        """Whether replicas keep requests."""
        self.bad_replica = ""
        """One that fails every request."""
        self._chance = random.Random(5)

    def restart(self) -> None:
        """Lose memory, rollouts included, and take them up again."""
        super().restart()
        begin(self.plane)
        self.judge = Judge(plane=self.plane)
        self.listener = Listener(plane=self.plane)
        self.own_metrics = OwnMetrics(plane=self.plane)
        self.replayer = Replayer(plane=self.plane)

    def flow(self, seconds: float, per_s: int = 40, step_s: float = 0.5) -> None:
        """Let time pass under traffic, with a pass and a judgement at each step."""
        passed = 0.0
        while passed < seconds:
            self._serve(int(per_s * step_s))
            self.clock.advance(step_s)
            passed += step_s
            reconcile_once(self.plane)
            self.listener.tick()
            self.own_metrics.tick()
            self.replayer.tick()
            self.judge.tick()

    def _serve(self, requests: int) -> None:
        weights = dict(self.gateway.weights("digits"))
        for version in self._chance.choices(list(weights), list(weights.values()), k=requests):
            request_id = self.request_id or f"r{len(self.asked)}"
            self.asked.append(request_id)
            self._answer(version, request_id, is_shadow=False)
            mirror = self._route().mirror
            if mirror is not None and self._chance.random() * 10_000 < mirror.points:
                self._answer(mirror.version, request_id, is_shadow=True)

    def _request(self, request_id: str) -> KeptRequest:
        kind, body = "application/json", request_id.encode()
        return KeptRequest(path="/v2/models/digits/infer", content_type=kind, body=body)

    def _route(self) -> BackendRoute:
        return next(route for route in self.gateway.table.backends if route.backend == "digits")

    def _answer(self, version: str, request_id: str, *, is_shadow: bool) -> None:
        routed = [r for r in self._route().releases if r.version == version]
        replica = self._chance.choice(routed[0].replicas) if routed[0].replicas else None
        failed = self._chance.random() < self.errors.get(version, 0.0)
        failed = failed or (replica is not None and replica.id == self.bad_replica)
        spread = self._chance.lognormvariate(0, 0.3)
        latency_s = self.latency_s.get(version, 0.01) * spread
        self.gateway.count("digits", version, requests=1, errors=int(failed), latency_s=latency_s)
        if replica is None:
            return
        requests, errors = self.done.get(replica.id, (0, 0))
        self.done[replica.id] = (requests + 1, errors + failed)
        spent = self.spent.setdefault(replica.id, {})
        for name, means in (("queue_s", self.queue_s), ("compute_s", self.compute_s)):
            value = means.get(version, 0.002) * self._chance.uniform(0.8, 1.2)
            one = Moments(count=1, total=value, squares=value**2)
            spent[name] = spent.get(name, Moments()).merge(one)
        label = self.label.get(version, lambda _: 7)(self._chance)
        answer = Answer(
            request_id=request_id, version=version, is_shadow=is_shadow,
            labels=(label,), outputs=[{"name": "label", "data": [label]}],
        )  # fmt: skip
        self.replicas.put(
            replica.endpoint,
            ReplicaReading(
                epoch=replica.id, position=len(self.asked), requests=requests + 1,
                errors=errors + failed, answers=() if failed else (answer,),
                kept=() if failed or is_shadow or not self.records else (self._request(request_id),),
                quantities=dict(spent),
            ),
        )  # fmt: skip


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    return Judged(tmp_path)
