"""Between values and rows."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_ai.domain.decision import Decider, DecisionRecord
from prometheus_ai.domain.errors import Corrupted
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
from prometheus_ai.domain.spec import Spec
from prometheus_ai.domain.window import Histogram, Window

Row = Any
"""A row of the select that the function's name tells, in the order of the table's columns."""

_PHASES = {phase.value: phase for phase in ReleasePhase}
_GOALS = {goal.value: goal for goal in ReplicaGoal}
_parse_time = datetime.fromisoformat


def time_text(at: datetime) -> str:
    """Write a time as UTC text of fixed width.

    Raises:
        ValueError: the time has no zone.
    """
    if at.tzinfo is not UTC:
        if at.tzinfo is None:
            raise ValueError(f"{at!r} has no time zone")
        at = at.astimezone(UTC)
    return at.isoformat(timespec="microseconds")


def _time_text_or_none(at: datetime | None) -> str | None:
    return None if at is None else time_text(at)


def _time_or_none(text: str | None) -> datetime | None:
    return None if text is None else _parse_time(text)


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def unreadable(what: str, error: Exception) -> Corrupted:
    """Return the error for a row whose content makes no sense."""
    return Corrupted(
        f"the database holds a {what} that cannot be read: {error}",
        hint="stop the control plane, keep a copy of the database and restore a backup",
    )


def backend_values(backend: Backend) -> dict[str, Any]:
    """Return the columns of a backend, without its revision."""
    return {
        "name": backend.name,
        "created_at": time_text(backend.created_at),
        "stable": backend.stable,
        "previous": backend.previous,
        "wanted": _json_text(backend.wanted),
        "in_force": _json_text(backend.in_force),
        "is_deleting": backend.is_deleting,
    }


def to_backend(row: Row) -> Backend:
    """Read a backend."""
    name, created_at, stable, previous, wanted, in_force, is_deleting, revision = row
    try:
        return Backend(
            name=name,
            created_at=_parse_time(created_at),
            stable=stable,
            previous=previous,
            wanted=tuple([(v, w) for v, w in json.loads(wanted)]),
            in_force=tuple([(v, w) for v, w in json.loads(in_force)]),
            is_deleting=bool(is_deleting),
            revision=revision,
        )
    except (ValueError, TypeError) as error:
        raise unreadable(f"backend ({name})", error) from error


def release_values(release: Release) -> dict[str, Any]:
    """Return the columns of a release."""
    inputs = release.inputs
    return {
        "backend": release.backend,
        "version": release.version,
        "number": release.number,
        "digest": release.digest,
        "spec": release.spec.model_dump_json(),
        "inputs": _json_text(
            {
                "model": _artefact_values(inputs.model),
                "lock": _artefact_values(inputs.lock),
                "python": inputs.python,
                "runtime": inputs.runtime,
                "engine": inputs.engine,
            }
        ),
        "created_at": time_text(release.created_at),
        "created_by": release.created_by,
    }


def _artefact_values(artefact: Artefact) -> dict[str, Any]:
    return {
        "digest": artefact.digest,
        "name": artefact.name,
        "size_bytes": artefact.size_bytes,
        "is_tree": artefact.is_tree,
    }


def to_release(row: Row) -> Release:
    """Read a release; ``row`` starts with its id."""
    _, backend, version, number, digest, spec, inputs, created_at, created_by = row
    try:
        parts = json.loads(inputs)
        return Release(
            backend=backend,
            version=version,
            number=number,
            digest=digest,
            spec=Spec.model_validate_json(spec),
            inputs=Inputs(
                model=Artefact(**parts.pop("model")), lock=Artefact(**parts.pop("lock")), **parts
            ),
            created_at=_parse_time(created_at),
            created_by=created_by,
        )
    except (ValueError, TypeError, KeyError) as error:
        raise unreadable(f"release ({backend}/{version})", error) from error


def release_state_values(state: ReleaseState) -> dict[str, Any]:
    """Return the columns of a release's state, without its revision."""
    return {
        "backend": state.backend,
        "version": state.version,
        "phase": state.phase.value,
        "replicas_wanted": state.replicas_wanted,
        "phase_since": time_text(state.phase_since),
        "unrouted_since": _time_text_or_none(state.unrouted_since),
        "failure": state.failure,
    }


def to_release_state(row: Row) -> ReleaseState:
    """Read a release's state."""
    backend, version, phase, replicas_wanted, phase_since, unrouted_since, failure, revision = row
    try:
        return ReleaseState(
            backend=backend,
            version=version,
            phase=_PHASES[phase],
            replicas_wanted=replicas_wanted,
            phase_since=_parse_time(phase_since),
            unrouted_since=_time_or_none(unrouted_since),
            failure=failure,
            revision=revision,
        )
    except (ValueError, TypeError, KeyError) as error:
        raise unreadable(f"release state ({backend}/{version})", error) from error


def replica_values(record: ReplicaRecord) -> dict[str, Any]:
    """Return the columns of a replica record."""
    return {
        "id": record.id,
        "backend": record.backend,
        "version": record.version,
        "target": record.target,
        "goal": record.goal.value,
        "created_at": time_text(record.created_at),
        "ready_at": _time_text_or_none(record.ready_at),
        "ended_at": _time_text_or_none(record.ended_at),
        "drain_since": _time_text_or_none(record.drain_since),
        "reason": record.reason,
        "stop_cause": None if record.stop_cause is None else record.stop_cause.value,
        "exit": None if record.exit is None else _json_text(_exit_values(record.exit)),
    }


def _exit_values(end: Exit) -> dict[str, Any]:
    return {
        "cause": end.cause.value,
        "code": end.code,
        "signal": end.signal,
        "message": end.message,
        "last_log": end.last_log,
        "at": time_text(end.at),
    }


def to_replica(row: Row) -> ReplicaRecord:
    """Read a replica record."""
    (replica_id, backend, version, target, goal, created_at) = row[:6]
    (ready_at, ended_at, drain_since, reason, stop_cause, end) = row[6:]
    try:
        return ReplicaRecord(
            id=replica_id,
            backend=backend,
            version=version,
            target=target,
            goal=_GOALS[goal],
            created_at=_parse_time(created_at),
            ready_at=None if ready_at is None else _parse_time(ready_at),
            ended_at=None if ended_at is None else _parse_time(ended_at),
            drain_since=None if drain_since is None else _parse_time(drain_since),
            reason=reason,
            stop_cause=None if stop_cause is None else ExitCause(stop_cause),
            exit=None if end is None else _to_exit(json.loads(end)),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise unreadable(f"replica record ({replica_id})", error) from error


def _to_exit(parts: Mapping[str, Any]) -> Exit:
    return Exit(
        cause=ExitCause(parts["cause"]),
        code=parts["code"],
        signal=parts["signal"],
        message=parts["message"],
        last_log=tuple(parts["last_log"]),
        at=_parse_time(parts["at"]),
    )


def window_values(window: Window) -> dict[str, Any]:
    """Return the columns of a window, without id and span."""
    latency = window.latency_s
    return {
        "backend": window.backend,
        "version": window.version,
        "start_at": time_text(window.start),
        "end_at": time_text(window.end),
        "requests": window.requests,
        "errors": window.errors,
        "client_errors": window.client_errors,
        "rejected": window.rejected,
        "retries": window.retries,
        "latency": _json_text(
            [
                latency.count,
                latency.sum,
                latency.zero_count,
                [[index, latency.buckets[index]] for index in sorted(latency.buckets)],
            ]
        ),
    }


def to_window(row: Row) -> Window:
    """Read a window; ``row`` starts with its id and holds its span."""
    (_, backend, version, start_at, end_at, _) = row[:6]
    (requests, errors, client_errors, rejected, retries, latency) = row[6:]
    try:
        count, total, zero_count, buckets = json.loads(latency)
        return Window(
            backend=backend,
            version=version,
            start=_parse_time(start_at),
            end=_parse_time(end_at),
            requests=requests,
            errors=errors,
            client_errors=client_errors,
            rejected=rejected,
            retries=retries,
            latency_s=Histogram(
                count=count, sum=total, zero_count=zero_count, buckets=dict(buckets)
            ),
        )
    except (ValueError, TypeError) as error:
        raise unreadable(f"window ({backend}/{version} at {start_at})", error) from error


def decision_values(record: DecisionRecord) -> dict[str, Any]:
    """Return the columns of a decision, without its id."""
    return {
        "at": time_text(record.at),
        "backend": record.backend,
        "version": record.version,
        "decider": record.decider.value,
        "act": record.act,
        "reason": record.reason,
        "inputs": record.inputs,
        "answer": record.answer,
    }


def to_decision(row: Row) -> DecisionRecord:
    """Read a decision."""
    number, at, backend, version, decider, act, reason, inputs, answer = row
    try:
        return DecisionRecord(
            id=number,
            at=_parse_time(at),
            backend=backend,
            version=version,
            decider=Decider(decider),
            act=act,
            reason=reason,
            inputs=inputs,
            answer=answer,
        )
    except (ValueError, TypeError) as error:
        raise unreadable(f"decision ({number})", error) from error


def token_values(token: Token) -> dict[str, Any]:
    """Return the columns of a token."""
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.value,
        "secret_hash": token.secret_hash,
        "created_at": time_text(token.created_at),
        "revoked_at": _time_text_or_none(token.revoked_at),
    }


def to_token(row: Row) -> Token:
    """Read a token."""
    token_id, name, role, secret_hash, created_at, revoked_at = row
    try:
        return Token(
            id=token_id,
            name=name,
            role=Role(role),
            secret_hash=bytes(secret_hash),
            created_at=_parse_time(created_at),
            revoked_at=_time_or_none(revoked_at),
        )
    except (ValueError, TypeError) as error:
        raise unreadable(f"token ({token_id})", error) from error


def audit_values(record: AuditRecord) -> dict[str, Any]:
    """Return the columns of an audit record."""
    return {
        "position": record.index,
        "backend": record.event.get("backend"),
        "event": _json_text(record.event),
        "leaf_hash": record.leaf_hash,
    }


def to_audit_record(row: Row) -> AuditRecord:
    """Read an audit record; whatever makes no sense becomes an event that no honest record equals."""
    position, backend, text, leaf_hash = row
    event: Mapping[str, Any]
    try:
        event = _audit_decoder.decode(text)
        problem = "" if event.get("backend") == backend else f"backend column says {backend!r}"
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        event, problem = {}, str(error)
    if problem:
        event = {"unreadable": problem, "stored": str(text)}
    stored_hash = leaf_hash if isinstance(leaf_hash, bytes) else b""
    return AuditRecord(index=position, event=event, leaf_hash=stored_hash)


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    parts = dict(pairs)
    if len(parts) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return parts


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


_audit_decoder = json.JSONDecoder(
    object_pairs_hook=_object_without_repeats, parse_constant=_no_constant
)


def node_key(level: int, index: int) -> int:
    """Number the nodes of the audit tree in order, so that a subtree is one range of keys."""
    return (((2 * index) + 1) << level) - 1
