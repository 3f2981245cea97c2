"""What autoscaling cannot do here: a field that would be ignored is an error."""

from prometheus_ai.domain.spec import Spec


def unsupported_scaling(spec: Spec, *, has_database: bool) -> tuple[str, ...]:
    """Return one message for each field of ``scaling:`` that would be ignored, with what works instead."""
    policy = spec.scaling
    if policy is None or not policy.metrics or has_database:
        return ()
    unasked = (
        "scaling.metrics: this installation knows no Prometheus;"
        " set PAI_PROMETHEUS_URL (or prometheus_url in pai.toml) where the control plane runs"
    )
    return (unasked,)
