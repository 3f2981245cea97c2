"""The tamper-evident log: events in, RFC 6962 records, proofs and findings out.

Events enter in the transaction that makes their change, written as RFC 8785 JSON without secrets.
Records, tree heads, proofs, checkpoints and verification reports leave.
Nothing here decides what happens to a backend, and no database is named here.
"""

from prometheus_ai.audit.checkpoint import (
    Checkpoint,
    advance_checkpoint,
    parse_checkpoint,
    read_checkpoint,
)
from prometheus_ai.audit.export import export
from prometheus_ai.audit.proofs import (
    ConsistencyProof,
    InclusionProof,
    is_consistent,
    is_included,
    prove_consistency,
    prove_inclusion,
)
from prometheus_ai.audit.record import record_event, record_events
from prometheus_ai.audit.report import Finding, FindingKind, VerificationReport
from prometheus_ai.audit.verify import verify

__all__ = [
    "Checkpoint",
    "ConsistencyProof",
    "Finding",
    "FindingKind",
    "InclusionProof",
    "VerificationReport",
    "advance_checkpoint",
    "export",
    "is_consistent",
    "is_included",
    "parse_checkpoint",
    "prove_consistency",
    "prove_inclusion",
    "read_checkpoint",
    "record_event",
    "record_events",
    "verify",
]
