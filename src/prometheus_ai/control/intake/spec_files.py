"""Spec files as the surfaces use them: read, check, write, compare."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_ai.control.autoscale.limits import unsupported_scaling
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import DeployRequest
from prometheus_ai.control.rollouts.limits import unsupported_rollout
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.release import Inputs
from prometheus_ai.domain.spec import Spec
from prometheus_ai.ports.driver import Driver
from prometheus_ai.ports.state_store import Reading
from prometheus_ai.specs.compatible import misunderstandings
from prometheus_ai.specs.diff import Change, diff
from prometheus_ai.specs.fields import nearest
from prometheus_ai.specs.places import field_lines
from prometheus_ai.specs.read import check, read
from prometheus_ai.specs.render import render
from prometheus_ai.specs.schema import json_schema


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecDiff:
    """What deploying a spec would change."""

    backend: str
    base: str | None
    """The version compared with: the newest release; None before the first."""
    changes: tuple[Change, ...]
    unsupported: tuple[str, ...]
    """One message for each field that cannot be honoured; a deploy would be refused."""


def read_spec(text: str, source: str) -> Spec:
    """Read the text of a spec file.

    Raises:
        InvalidSpec: with every problem, each at its line.
    """
    return read(text, source)


def spec_lines(text: str, source: str) -> dict[str, int]:
    """Return the line of each field in the text of a spec file.

    Raises:
        InvalidSpec: the text is no YAML.
    """
    return field_lines(text, source)


def check_spec(values: Mapping[str, Any], source: str = "spec") -> Spec:
    """Check a spec given as plain values.

    Raises:
        InvalidSpec: with every problem.
    """
    return check(values, source)


def render_spec(spec: Spec, *, schema_file: str | None = None) -> str:
    """Write a spec as annotated text."""
    return render(spec, schema_file=schema_file)


def spec_schema() -> dict[str, Any]:
    """Return the JSON Schema of specs."""
    return json_schema()


def unsupported(plane: Plane, spec: Spec) -> tuple[str, ...]:
    """Return one message for each field that this target, or this platform, would ignore.

    Raises:
        NotFound: there is no such target.
    """
    return (
        *_driver(plane, spec).unsupported_fields(spec),
        *unsupported_rollout(spec, has_database=plane.database is not None),
        *unsupported_scaling(spec, has_database=plane.database is not None),
    )


def misunderstood(reading: Reading, request: DeployRequest) -> tuple[str, ...]:
    """Say which requests of today's clients the new release would refuse, if it got some of their traffic."""
    spec = request.spec
    weight = spec.route.weight if request.weight is None else request.weight
    new, backend = spec.model.signature, reading.backend(spec.name)
    if new is None or backend is None or spec.route.allow_other_inputs:
        return ()
    if weight == 0 and spec.rollout is None:
        return ()
    found = []
    for version, _ in backend.wanted:
        release = reading.release(spec.name, version)
        old = release.spec.model.signature if release is not None else None
        if old is not None:
            reasons = "; ".join(misunderstandings(old, new))
            found += (
                [f"model.signature: {version} has traffic, and its {reasons}"] if reasons else []
            )
    return tuple(found)


def _driver(plane: Plane, spec: Spec) -> Driver:
    try:
        return plane.driver(spec.target)
    except NotFound as error:
        close = nearest(spec.target, sorted(plane.drivers))
        meant = f"did you mean {close}? " if close else ""
        raise NotFound(f"target: {error.message}", hint=f"{meant}{error.hint}") from error


def diff_spec(plane: Plane, request: DeployRequest) -> SpecDiff:
    """Compare a spec and its inputs with the newest release of its backend.

    Raises:
        NotFound: there is no such target.
    """
    spec = request.spec
    with plane.store.read() as reading:
        history = reading.releases(spec.name)
        refused = misunderstood(reading, request)
    newest = history[-1] if history else None
    changes = diff(
        newest.spec if newest else None,
        spec,
        old_inputs=_known(newest.inputs) if newest else None,
        new_inputs=_asked(plane, request, newest.inputs if newest else None),
    )
    return SpecDiff(
        backend=spec.name,
        base=newest.version if newest else None,
        changes=changes,
        unsupported=(*unsupported(plane, spec), *refused),
    )


def _known(inputs: Inputs) -> dict[str, str]:
    return {"model": inputs.model.digest, "runtime": inputs.runtime}


def _asked(plane: Plane, request: DeployRequest, newest: Inputs | None) -> dict[str, str]:
    """Return what a deploy would pin; the lock is resolved only by the deploy itself."""
    model = request.model_digest or (newest.model.digest if newest else "")
    if request.spec.model.sha256 is not None:
        model = f"sha256:{request.spec.model.sha256}"
    return {"model": model, "runtime": plane.resolver.runtime_id()}
