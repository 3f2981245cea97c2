"""Gates: evidence and policy to a decision.

A candidate, its evidence, the policy and the time enter; a report with every rule, what it saw and what it says leaves.
It never looks anything up, so an old decision can be made again from what was recorded.
"""

from prometheus_ai.gates.attestations import PREDICATES
from prometheus_ai.gates.evaluate import evaluate
from prometheus_ai.gates.policy_text import (
    DEFAULT_POLICY,
    STRICT_POLICY,
    policy_digest,
    read_policy,
)
from prometheus_ai.gates.signatures import IMAGE_PREDICATE, MODEL_PREDICATE, SEAL_PREDICATE

__all__ = [
    "DEFAULT_POLICY",
    "IMAGE_PREDICATE",
    "MODEL_PREDICATE",
    "PREDICATES",
    "SEAL_PREDICATE",
    "STRICT_POLICY",
    "evaluate",
    "policy_digest",
    "read_policy",
]
