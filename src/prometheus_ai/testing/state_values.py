"""Values for tests of whatever keeps or reads state."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from prometheus_ai.domain.event import AuditRecord, Role, Token
from prometheus_ai.domain.release import (
    Artefact,
    Backend,
    Inputs,
    Release,
    ReleasePhase,
    ReleaseState,
)
from prometheus_ai.domain.replica import Exit, ExitCause, ReplicaGoal, ReplicaRecord
from prometheus_ai.domain.spec import ModelSpec, Spec
from prometheus_ai.domain.window import Histogram, Window

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SPAN = timedelta(seconds=2)


def make_backend(name: str = "digits") -> Backend:
    """Return a new backend."""
    return Backend(name=name, created_at=NOW)


def make_release(backend: str = "digits", number: int = 1, digest: str = "") -> Release:
    """Return a release ``v<number>``."""
    model = Artefact(digest="sha256:" + "a" * 64, name="model.onnx", size_bytes=123)
    return Release(
        backend=backend,
        version=f"v{number}",
        number=number,
        digest=digest or f"sha256:{number:064x}",
        spec=Spec(name=backend, model=ModelSpec(path="model.onnx"), labels={"team": "vision ✓"}),
        inputs=Inputs(
            model=model,
            lock=replace(model, name="requirements.txt", is_tree=True),
            python="3.11",
            runtime="0.1.0+sha256:ff",
            engine="onnx",
        ),
        created_at=NOW + timedelta(minutes=number),
        created_by="alice",
    )


def make_state(backend: str = "digits", version: str = "v1") -> ReleaseState:
    """Return the first state of a release."""
    return ReleaseState(
        backend=backend,
        version=version,
        phase=ReleasePhase.PREPARING,
        replicas_wanted=2,
        phase_since=NOW,
    )


def make_replica(
    replica_id: str = "digits-v1-1", version: str = "v1", created_s: int = 0
) -> ReplicaRecord:
    """Return the record of a starting replica."""
    return ReplicaRecord(
        id=replica_id,
        backend="digits",
        version=version,
        target="local",
        goal=ReplicaGoal.RUN,
        created_at=NOW + timedelta(seconds=created_s),
    )


def make_end(at: datetime) -> Exit:
    """Return how a replica crashed."""
    return Exit(
        cause=ExitCause.SIGNAL,
        code=-9,
        signal="SIGKILL",
        message="killed",
        last_log=("one", "two"),
        at=at,
    )


def make_window(index: int = 0, version: str = "v1", backend: str = "digits") -> Window:
    """Return the window of the two seconds that begin ``2 index`` seconds after noon."""
    start = NOW.replace(microsecond=0) + index * SPAN
    return Window(
        backend=backend,
        version=version,
        start=start,
        end=start + SPAN,
        requests=10 + index,
        errors=1,
        client_errors=2,
        rejected=3,
        retries=4,
        latency_s=Histogram(count=3, sum=0.25, zero_count=1, buckets={-3: 1, 7: index + 1}),
    )


def make_token(name: str = "t1", secret_hash: bytes = b"h" * 32) -> Token:
    """Return a token."""
    return Token(id=name, name="ci", role=Role.DEPLOYER, secret_hash=secret_hash, created_at=NOW)


def make_record(index: int, backend: str | None = "digits") -> AuditRecord:
    """Return an audit record with a made-up hash."""
    event = {"index": index, "backend": backend, "after": {"weight": 0.5, "name": "é✓"}}
    return AuditRecord(index=index, event=event, leaf_hash=bytes([index]) * 32)
