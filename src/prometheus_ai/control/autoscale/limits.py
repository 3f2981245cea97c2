"""What autoscaling cannot do yet: a field that would be ignored is an error."""

from prometheus_ai.domain.spec import Spec


def unsupported_scaling(spec: Spec) -> tuple[str, ...]:
    """Return one message for each field of ``scaling:`` that would be ignored, with what works instead."""
    policy = spec.scaling
    if policy is None:
        return ()
    asked = {
        "metrics": (
            bool(policy.metrics),
            "they are not read yet; use concurrency, queue or latency",
        ),
    }
    return tuple(
        f"scaling.{name}: {words}" for name, (is_asked, words) in asked.items() if is_asked
    )
