"""Real model servers with real engines, in environments of their own."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from prometheus_ai.adapters.artefacts.filesystem import FilesystemArtefactStore
from prometheus_ai.adapters.drivers.local.driver import LocalDriver
from prometheus_ai.adapters.environments.uv import UvEnvironments
from prometheus_ai.adapters.inspectors.runtime import RuntimeInspector
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.release import Artefact, Inputs
from prometheus_ai.domain.replica import ExitCause, Observed, ReplicaPhase
from prometheus_ai.ports.driver import ReplicaOrder
from tests.contract.local_target import LocalTarget

pytestmark = pytest.mark.e2e

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
TRAIN = """
import json, sys
import joblib, sklearn
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
images, labels = load_digits(return_X_y=True)
model = LogisticRegression(max_iter=50).fit(images[:900] / 16, labels[:900])
joblib.dump(model, sys.argv[1])
rows = images[900:904] / 16
print(json.dumps({"version": sklearn.__version__, "rows": rows.tolist(),
                  "answers": model.predict(rows).tolist()}))
"""


class RealTarget:
    """A local target over the real store, uv and model server."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environments = UvEnvironments(root / "environments")
        self.store = FilesystemArtefactStore(root / "artefacts")
        self.driver = LocalDriver(root / "replicas", self.environments)
        (root / "plain").mkdir()
        self._waiting = LocalTarget(root / "plain")

    def order(self, name: str, model: Path, engine: str, requirements: list[str]) -> ReplicaOrder:
        """Return an order for a model whose environment is made."""
        lock = self.environments.lock(requirements, python=HERE, engine=engine)
        inputs = Inputs(
            model=self._put("model", model.read_bytes(), model.name),
            lock=self._put("lock", lock, "requirements.lock"),
            python=HERE,
            runtime=self.environments.runtime_id(),
            engine=engine,
        )
        plain = self._waiting.order_plan(name, {}).release
        spec = plain.spec.model_copy(
            update={"model": plain.spec.model.model_copy(update={"allow_pickle": True})}
        )
        release = replace(plain, spec=spec, inputs=inputs)
        lock_path = self.store.open_path(inputs.lock)
        self.driver.prepare(release, lock_path, lambda _: None)
        return ReplicaOrder(
            id=name,
            release=release,
            model_path=self.store.open_path(inputs.model),
            lock_path=lock_path,
        )

    def until(self, name: str, *phases: ReplicaPhase) -> Observed:
        """Wait for a replica to be in one of some phases."""
        self._waiting.until(lambda: self.see(name).phase in phases)
        return self.see(name)

    def see(self, name: str) -> Observed:
        """Return what the driver sees."""
        return next(seen for seen in self.driver.observe() if seen.id == name)

    def close(self) -> None:
        """End everything."""
        for seen in self.driver.observe():
            self.driver.stop(seen.id, 0)
        for seen in self.driver.observe():
            self.until(seen.id, ReplicaPhase.EXITED)
        self.driver.close()
        self._waiting.close()

    def _put(self, kind: str, content: bytes, name: str) -> Artefact:
        digest = self.store.put_stream([content], expected=None)
        return Artefact(digest=digest, name=name, size_bytes=len(content))


@pytest.fixture
def target(tmp_path: Path) -> Iterator[RealTarget]:
    made = RealTarget(tmp_path)
    yield made
    made.close()


def test_two_releases_need_two_versions_of_scikit_learn_at_once(
    target: RealTarget, tmp_path: Path
) -> None:
    said = {}
    for name, version in (("old", "1.5.2"), ("new", "1.7.2")):
        (tmp_path / "empty.joblib").write_bytes(b"not yet trained")
        requirements = [f"scikit-learn=={version}"]
        order = target.order(name, tmp_path / "empty.joblib", "sklearn", requirements)
        python = target.environments.find(
            order.lock_path, python=HERE, runtime=target.environments.runtime_id()
        )
        assert python is not None
        model = tmp_path / f"{name}.joblib"
        said[name] = _train(python / "bin" / "python", model)
        assert said[name]["version"] == version
        target.driver.start(target.order(name, model, "sklearn", requirements))
    for name in said:
        seen = target.until(name, ReplicaPhase.READY, ReplicaPhase.EXITED)
        assert seen.phase is ReplicaPhase.READY, seen.exit
    for name, expected in said.items():
        assert _predict(target.see(name), expected["rows"]) == expected["answers"]


def test_a_file_that_is_no_model_is_named_as_the_cause(target: RealTarget, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"not a model")
    target.driver.start(target.order("bad", model, "onnx", []))
    ended = target.until("bad", ReplicaPhase.EXITED).exit
    assert ended is not None
    assert ended.cause is ExitCause.LOAD_FAILED
    assert "model.onnx" in ended.message


def test_a_model_is_inspected_in_its_engines_environment(
    target: RealTarget, tmp_path: Path
) -> None:
    inspector = RuntimeInspector(target.environments)
    model = tmp_path / "model.joblib"
    _train(Path(sys.executable), model)
    found = inspector.inspect(model, engine=None, allow_pickle=True)
    assert found["engine"] == "sklearn"
    assert found["signature"]["inputs"]
    assert found["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    unread = inspector.inspect(model, engine=None, allow_pickle=False)
    assert unread["signature"] is None
    assert unread["warnings"]


def test_a_file_that_is_no_model_is_refused_with_a_reason(
    target: RealTarget, tmp_path: Path
) -> None:
    model = tmp_path / "notes.txt"
    model.write_text("hello")
    with pytest.raises(InvalidInput, match=r"notes\.txt"):
        RuntimeInspector(target.environments).inspect(model, engine=None, allow_pickle=False)


def _train(python: Path, model: Path) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-I", "-c", TRAIN, model], check=True, capture_output=True, timeout=120
    )
    return dict(json.loads(done.stdout))


def _predict(seen: Observed, rows: list[list[float]]) -> list[int]:
    assert seen.endpoint is not None
    base = f"http://{seen.endpoint.host}:{seen.endpoint.port}/v2/models/{seen.backend}"
    described = httpx.get(base, timeout=10).json()
    wanted = described["inputs"][0]
    tensor = {
        "name": wanted["name"],
        "datatype": wanted["datatype"],
        "shape": [len(rows), len(rows[0])],
        "data": [value for row in rows for value in row],
    }
    answer = httpx.post(f"{base}/infer", json={"inputs": [tensor]}, timeout=30).json()
    return [int(value) for value in answer["outputs"][0]["data"]]
