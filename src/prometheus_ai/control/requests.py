"""What people ask for, as the surfaces hand it over."""

from dataclasses import dataclass

from prometheus_ai.domain.spec import Spec


@dataclass(frozen=True, kw_only=True, slots=True)
class Asker:
    """Who asks, and why: recorded with every change."""

    actor: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployRequest:
    """Make a release of a spec, and give it traffic once it is ready."""

    spec: Spec
    """Requirements are a list here: the client reads a requirements file before it asks."""
    model_digest: str | None = None
    """The stored model; None when the spec names a URL."""
    model_name: str = ""
    model_is_tree: bool = False
    lock_digest: str | None = None
    """The stored lock file that ``spec.environment.lock`` names."""
    weight: int | None = None
    """Percent of traffic; the spec's ``route.weight`` when None."""
    relock: bool = False
    """Resolve the requirements again instead of keeping the last release's versions."""
