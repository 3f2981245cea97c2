"""Preview: what a deploy would change, without making or fetching anything."""

from dataclasses import dataclass

from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import DeployRequest
from prometheus_ai.domain.release import Release
from prometheus_ai.specs.diff import Change, diff


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What a deploy would come to."""

    backend: str
    version: str | None
    """The newest release, which the spec is compared with; None for a new backend."""
    changes: tuple[Change, ...]
    problems: tuple[str, ...] = ()
    """Fields that the target cannot honour: the deploy would be refused."""

    @property
    def is_empty(self) -> bool:
        """Whether a deploy would change nothing."""
        return not self.changes


def preview(plane: Plane, request: DeployRequest) -> Preview:
    """Compare a spec with the newest release of its backend.

    Raises:
        NotFound: there is no such target.
    """
    spec = request.spec
    problems = plane.driver(spec.target).unsupported_fields(spec)
    with plane.store.read() as reading:
        history = reading.releases(spec.name)
    latest = history[-1] if history else None
    changes = diff(
        latest.spec if latest else None,
        spec,
        old_inputs=_kept_inputs(latest, request),
        new_inputs=_new_inputs(request),
    )
    return Preview(
        backend=spec.name,
        version=latest.version if latest else None,
        changes=changes,
        problems=problems,
    )


def _kept_inputs(latest: Release | None, request: DeployRequest) -> dict[str, str]:
    """Return the digests to compare; only those that the request names can differ."""
    if latest is None:
        return {}
    inputs = {"model": latest.inputs.model.digest}
    return {name: digest for name, digest in inputs.items() if name in _new_inputs(request)}


def _new_inputs(request: DeployRequest) -> dict[str, str]:
    spec = request.spec.model
    digest = f"sha256:{spec.sha256}" if spec.is_remote else request.model_digest
    return {"model": digest} if digest else {}
