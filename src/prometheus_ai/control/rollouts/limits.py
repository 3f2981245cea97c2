"""What rollouts cannot do yet: a field that would be ignored is an error."""

from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.spec import Spec

QUANTITIES = (
    "ttft_s",
    "tokens_per_s",
    "piece_gap_s",
    "request_s",
    "queue_s",
    "compute_s",
    "cost_per_1k",
)
"""What model servers measure of every release; see the wire page."""


def unsupported_rollout(spec: Spec, *, has_database: bool) -> tuple[str, ...]:
    """Return one message for each field of ``rollout:`` that would be ignored, with what works instead."""
    policy = spec.rollout
    if policy is None:
        return ()
    problems = (*_of_traffic(spec, policy), *_of_gates(policy))
    if policy.gates.metrics and not has_database:
        unasked = (
            "rollout.gates.metrics: this installation knows no Prometheus;"
            " set PAI_PROMETHEUS_URL (or prometheus_url in pai.toml) where the control plane runs"
        )
        return (*problems, unasked)
    return problems


def _of_traffic(spec: Spec, policy: RolloutSpec) -> tuple[str, ...]:
    problems = []
    if policy.strategy == "recreate" and policy.shadow is not None:
        problems.append(
            "rollout.shadow: recreate stops the old release first, so there is nothing to compare with;"
            " use canary or blue-green"
        )
    if policy.low_traffic == "replay" and spec.recording is None:
        problems.append(
            "rollout.low_traffic: replay needs requests that were kept, and none are;"
            " add a recording section, or use shadow, wait, widen or ask"
        )
    if policy.gates.agreement is not None and not _mirrors(policy):
        problems.append(
            "rollout.gates.agreement: nothing is compared without copies of requests;"
            " add rollout.shadow, or leave it out"
        )
    if policy.strategy == "ab" and spec.route.sticky is None:
        problems.append(
            "rollout.strategy: ab needs clients that stay on one release; set route.sticky to a header or cookie"
        )
    return tuple(problems)


def _mirrors(policy: RolloutSpec) -> bool:
    return (
        policy.strategy == "shadow"
        or policy.shadow is not None
        or policy.low_traffic in {"shadow", "replay"}
    )


def _of_gates(policy: RolloutSpec) -> tuple[str, ...]:
    return tuple(
        f"rollout.gates.means: {gate.name} is not measured; use one of {', '.join(QUANTITIES)}"
        for gate in policy.gates.means
        if gate.name not in QUANTITIES
    )
