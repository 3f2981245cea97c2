"""What rollouts cannot do yet: a field that would be ignored is an error."""

from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.spec import Spec

STRATEGIES = frozenset({"canary", "ab", "blue-green", "rolling", "recreate"})


def unsupported_rollout(spec: Spec) -> tuple[str, ...]:
    """Return one message for each field of ``rollout:`` that would be ignored, with what works instead."""
    policy = spec.rollout
    if policy is None:
        return ()
    return (*_of_traffic(spec, policy), *_of_gates(policy))


def _of_traffic(spec: Spec, policy: RolloutSpec) -> tuple[str, ...]:
    problems = []
    if policy.strategy not in STRATEGIES:
        problems.append(
            f"rollout.strategy: {policy.strategy} is not carried out yet; use canary, rolling or blue-green"
        )
    if policy.shadow is not None:
        problems.append(
            "rollout.shadow: the gateway does not mirror requests yet; start the canary with a small step"
        )
    if policy.low_traffic in {"shadow", "replay"}:
        problems.append(
            f"rollout.low_traffic: {policy.low_traffic} needs mirrored requests, which the gateway"
            " does not make yet; use wait, widen or ask"
        )
    if policy.strategy == "ab" and spec.route.sticky is None:
        problems.append(
            "rollout.strategy: ab needs clients that stay on one release; set route.sticky to a header or cookie"
        )
    return tuple(problems)


def _of_gates(policy: RolloutSpec) -> tuple[str, ...]:
    gates = policy.gates
    asked = {
        "agreement": gates.agreement is not None,
        "outputs": gates.outputs is not None,
        "means": bool(gates.means),
        "accuracy.required": gates.accuracy is not None and gates.accuracy.required,
    }
    return tuple(
        f"rollout.gates.{name}: it is not measured yet; errors and latency are judged"
        for name, is_asked in asked.items()
        if is_asked
    )
