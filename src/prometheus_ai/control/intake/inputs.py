"""Pinning: everything a release depends on becomes a digest in the artefact store."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from prometheus_ai.control.gates.admit import check_model
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import DeployRequest
from prometheus_ai.domain.errors import InvalidInput, NotFound, PlatformError
from prometheus_ai.domain.release import Artefact, Inputs, Release
from prometheus_ai.domain.spec import Spec


def pin(plane: Plane, request: DeployRequest, latest: Release | None) -> Inputs:
    """Return the digests of model, lock and model server for a deploy.

    Raises:
        NotFound: the model or lock was not uploaded.
        InvalidInput: the model is none that an engine knows, or requirements cannot be met.
        Refused: the model is not safe to load.
        Unavailable: the model's host or the package index cannot be reached.
    """
    spec = request.spec
    model = _model(plane, request)
    check_model(plane, spec, model)
    engine = spec.model.engine or _detect(plane, spec, model)
    runtime = plane.resolver.runtime_id()
    lock = _kept_lock(request, latest, engine, runtime) or _lock(plane, request, engine)
    return Inputs(
        model=model, lock=lock, python=spec.environment.python, runtime=runtime, engine=engine
    )


def _model(plane: Plane, request: DeployRequest) -> Artefact:
    spec = request.spec.model
    if spec.is_remote:
        assert spec.sha256 is not None, "checked by ModelSpec"
        digest = f"sha256:{spec.sha256}"
        if not plane.artefacts.has(digest):
            plane.artefacts.fetch(spec.path, spec.sha256)
        name = PurePosixPath(urlsplit(spec.path).path).name or "model"
        return Artefact(digest=digest, name=name, size_bytes=plane.artefacts.size_bytes(digest))
    digest = request.model_digest or ""
    if not digest or not plane.artefacts.has(digest):
        raise NotFound(
            f"the model {spec.path!r} was not uploaded",
            hint="deploy with `pai deploy` or the Python client, which upload it first",
        )
    if spec.sha256 is not None and digest != f"sha256:{spec.sha256}" and not request.model_is_tree:
        raise InvalidInput(
            f"model.path: {spec.path} has digest {digest}, the spec says sha256:{spec.sha256}",
            hint="the file changed since the spec was written; correct one of them",
        )
    return Artefact(
        digest=digest,
        name=request.model_name or PurePosixPath(spec.path).name,
        size_bytes=plane.artefacts.size_bytes(digest),
        is_tree=request.model_is_tree,
    )


def _detect(plane: Plane, spec: Spec, model: Artefact) -> str:
    found = look_into(plane, model, None, allow_pickle=spec.model.allow_pickle)
    return str(found["engine"])


def look_into(
    plane: Plane, model: Artefact, engine: str | None, *, allow_pickle: bool
) -> Mapping[str, Any]:
    """Say what a stored model is; errors name the user's file, and not where the platform keeps it.

    Raises:
        InvalidInput: it is no model that an engine can load.
        Unavailable: the engine's environment cannot be made, or looking took too long.
    """
    path = plane.artefacts.open_path(model)
    try:
        return plane.inspector.inspect(path, engine=engine, allow_pickle=allow_pickle)
    except PlatformError as error:
        message = error.message.replace(f"{path.parent}/", "")
        raise type(error)(message, hint=error.hint) from error


def _kept_lock(
    request: DeployRequest, latest: Release | None, engine: str, runtime: str
) -> Artefact | None:
    """Return the latest release's lock when it answers the same question: a deploy changes no version unasked."""
    if latest is None or request.relock or request.lock_digest is not None:
        return None
    same = (
        latest.spec.environment == request.spec.environment
        and latest.inputs.engine == engine
        and latest.inputs.runtime == runtime
    )
    return latest.inputs.lock if same else None


def _lock(plane: Plane, request: DeployRequest, engine: str) -> Artefact:
    environment = request.spec.environment
    if environment.lock is not None:
        if request.lock_digest is None or not plane.artefacts.has(request.lock_digest):
            raise NotFound(f"the lock {environment.lock!r} was not uploaded")
        name = PurePosixPath(environment.lock).name
        stored = Artefact(
            digest=request.lock_digest,
            name=name,
            size_bytes=plane.artefacts.size_bytes(request.lock_digest),
        )
        path = plane.artefacts.open_path(stored)
        content = plane.resolver.check_lock(path, python=environment.python, engine=engine)
    else:
        requirements = environment.requirements or ()
        if isinstance(requirements, str):
            raise InvalidInput(
                f"environment.requirements: {requirements!r} is a file name; send its lines instead",
                hint="`pai deploy` and the Python client do this",
            )
        content = plane.resolver.lock(list(requirements), python=environment.python, engine=engine)
    digest = plane.artefacts.put_stream([content], expected=None)
    return Artefact(digest=digest, name="requirements.lock", size_bytes=len(content))
