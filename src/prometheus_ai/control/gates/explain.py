"""Explaining decisions, and making them again from what was recorded."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from prometheus_ai.control.gates.admit import POLICY_FILE, report_setting
from prometheus_ai.control.plane import Gate, Plane
from prometheus_ai.domain.errors import NotFound, Unsupported
from prometheus_ai.domain.gate import Candidate, Evidence, GateReport
from prometheus_ai.domain.gate_policy import Policy
from prometheus_ai.gates import evaluate, read_policy

_CANDIDATE = TypeAdapter(Candidate)
_EVIDENCE = TypeAdapter(Evidence)
_REPORT = TypeAdapter(GateReport)


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleView:
    """One rule of a decision."""

    rule: str
    outcome: str
    message: str
    evidence: tuple[str, ...]
    hint: str
    until: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class GateView:
    """A recorded decision, and whether the same inputs still lead to it."""

    backend: str
    version: str
    target: str
    allowed: bool
    section: str
    at: datetime
    model: str
    """Digest of the model that it is about."""
    image: str
    """Digest of the image; empty where the target runs none."""
    policy_digest: str
    document: str
    rules: tuple[RuleView, ...]
    look_again_at: datetime | None
    replays: bool
    """Whether deciding again from the recorded inputs gives the recorded answer."""


def explain(plane: Plane, backend: str, version: str | None = None) -> GateView:
    """Return the latest decision about a release; of the newest one that was decided about by default.

    Raises:
        NotFound: no decision is recorded.
        Unsupported: this control plane has no gate.
    """
    gate = gate_of(plane)
    with plane.store.read() as reading:
        names = [version] if version else [r.version for r in reversed(reading.releases(backend))]
        if version is None:
            names.append("")
        found = next(
            (text for name in names if (text := reading.setting(report_setting(backend, name)))),
            None,
        )
    if found is None:
        raise NotFound(
            f"no decision about {backend}{f'/{version}' if version else ''} is recorded",
            hint="the gate decides when a backend is deployed and before every start",
        )
    digest = json.loads(found)["document"]
    return _view(json.loads(b"".join(gate.evidence.read(digest))), digest)


def _view(document: dict[str, Any], digest: str) -> GateView:
    recorded = _REPORT.validate_python(document["report"], strict=False)
    again = evaluate(
        _CANDIDATE.validate_python(document["candidate"]),
        _EVIDENCE.validate_python(document["evidence"]),
        Policy.model_validate(document["policy"]),
        recorded.at,
    )
    return GateView(
        backend=recorded.backend,
        version=recorded.version,
        target=recorded.target,
        allowed=recorded.allowed,
        section=recorded.section,
        at=recorded.at,
        model=str(document["candidate"]["model_digest"]),
        image=str(document["evidence"]["image"]),
        policy_digest=recorded.policy_digest,
        document=digest,
        rules=tuple(
            RuleView(
                rule=one.rule, outcome=one.outcome.value, message=one.message,
                evidence=one.evidence, hint=one.hint, until=one.until,
            )
            for one in recorded.results
        ),
        look_again_at=recorded.look_again_at,
        replays=_is_same(recorded, again),
    )  # fmt: skip


def _is_same(recorded: GateReport, again: GateReport) -> bool:
    """Whether the answer is the recorded one; rules that did not exist then have nothing to say about it."""
    known = {one.rule for one in recorded.results}
    return again.allowed == recorded.allowed and recorded.results == tuple(
        one for one in again.results if one.rule in known
    )


def policy_of(gate: Gate) -> Policy:
    """Return the policy in force now.

    Raises:
        InvalidSpec: the policy file has problems; then nothing may start.
    """
    return read_policy(gate.policy(), POLICY_FILE)


def gate_of(plane: Plane) -> Gate:
    """Return the gate.

    Raises:
        Unsupported: this control plane has none.
    """
    if plane.gate is None:
        raise Unsupported("this control plane has no gate")
    return plane.gate
