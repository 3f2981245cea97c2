"""Explaining decisions, and making them again from what was recorded."""

from dataclasses import dataclass
from datetime import datetime

from prometheus_ai.control.gates.admit import POLICY_FILE
from prometheus_ai.control.gates.records import latest
from prometheus_ai.control.plane import Gate, Plane
from prometheus_ai.domain.gate import GateReport
from prometheus_ai.domain.gate_policy import Policy
from prometheus_ai.gates import evaluate, read_policy


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
    found = latest(plane, backend, version)
    recorded = found.report
    again = evaluate(found.candidate, found.evidence, found.policy, recorded.at)
    return GateView(
        backend=recorded.backend,
        version=recorded.version,
        target=recorded.target,
        allowed=recorded.allowed,
        section=recorded.section,
        at=recorded.at,
        model=found.candidate.model_digest,
        image=found.evidence.image,
        policy_digest=recorded.policy_digest,
        document=found.document,
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
