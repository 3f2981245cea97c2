"""Orders for replicas of the stand-in model server."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_ai.domain.release import Artefact, Inputs, Release
from prometheus_ai.domain.replica import ExitCause
from prometheus_ai.domain.spec import ModelSpec, ResourcesSpec, Spec, TimeoutsSpec
from prometheus_ai.ports.driver import ReplicaOrder
from prometheus_ai.testing.fake_driver import Behaviour

STANDIN = Path(__file__).with_name("standin_runtime.py")
_CODES = {ExitCause.LOAD_FAILED: 65, ExitCause.ENGINE_MISSING: 69, ExitCause.BAD_CONFIG: 64}


def plan_of(behaviour: Behaviour) -> dict[str, Any]:
    """Return what the stand-in's model file says so that it behaves so."""
    return {
        "ready_after_s": behaviour.ready_after_s,
        "stuck_after_s": behaviour.stuck_after_s,
        "exit_after_s": behaviour.exit_after_s,
        "exit_code": _CODES.get(behaviour.exit_cause, behaviour.exit_code),
        "error": behaviour.exit_message,
        "drain_takes_s": behaviour.drain_takes_s,
    }


def standin_order(
    root: Path,
    replica_id: str,
    plan: dict[str, Any],
    *,
    memory: str = "256Mi",
    progress_s: float = 30,
) -> ReplicaOrder:
    """Return an order for a stand-in that follows ``plan``."""
    model, lock = root / f"{replica_id}.model", root / "requirements.lock"
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


def _artefact(path: Path) -> Artefact:
    content = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Artefact(digest=digest, name=path.name, size_bytes=len(content))
