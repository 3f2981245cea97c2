"""Deploy: a spec becomes an immutable release, and the wanted route includes it."""

import hashlib
from dataclasses import asdict, dataclass, replace

import rfc8785

from prometheus_ai.control.intake.inputs import pin
from prometheus_ai.control.intake.spec_files import misunderstood, unsupported
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.loop.passes import act_on
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker, DeployRequest
from prometheus_ai.control.rollouts.begin import keep_refusal, resume, start
from prometheus_ai.domain.errors import Conflict, InvalidInput, Refused, Unsupported
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.release import (
    Backend,
    Inputs,
    Release,
    ReleasePhase,
    ReleaseState,
)
from prometheus_ai.domain.route import WEIGHT_SUM, Weights
from prometheus_ai.domain.spec import Spec
from prometheus_ai.ports.state_store import Writing
from prometheus_ai.reconcile import rescale


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """What a deploy came to."""

    backend: str
    version: str
    digest: str
    is_new: bool
    """False when the same spec and inputs were deployed before: nothing was made."""
    changed: bool
    """False when nothing at all changed."""


def deploy(plane: Plane, request: DeployRequest, asker: Asker) -> Deployed:
    """Make or find the release of a spec, and want traffic on it.

    Raises:
        Unsupported: the target cannot honour a field of the spec.
        InvalidInput: clients of the release that has traffic would be refused.
        Refused: a rollout does not fit the room there is.
        Conflict: the version exists with other content, or the backend is being deleted.
        InvalidInput, NotFound, Unavailable: as ``inputs.pin``.
    """
    spec = request.spec
    problems = unsupported(plane, spec)
    if problems:
        raise Unsupported("; ".join(problems))
    with plane.store.read() as reading:
        history = reading.releases(spec.name)
        refused = misunderstood(reading, request)
    if refused:
        raise InvalidInput(
            refused[0],
            hint="deploy it with --weight 0 and try it by header; set route.allow_other_inputs: true"
            " when clients change with it",
        )
    inputs = pin(plane, request, history[-1] if history else None)
    return deploy_pinned(plane, request, inputs, asker)


def deploy_pinned(plane: Plane, request: DeployRequest, inputs: Inputs, asker: Asker) -> Deployed:
    """Make or find the release of a spec and of inputs that are stored here already.

    Raises:
        Refused: a rollout does not fit the room there is.
        Conflict: the version exists with other content, or the backend is being deleted.
    """
    spec = request.spec
    try:
        with plane.lock, plane.store.write() as tx:
            deployed = _store(plane, tx, request, inputs, asker)
    except Refused:
        keep_refusal(plane, spec)
        raise
    if deployed.changed:
        resume(plane, spec.name)
        plane.wake.set()
        act_on(plane, spec.name)
    return deployed


def release_digest(spec: Spec, inputs: Inputs) -> str:
    """Return ``sha256:<hex>`` over canonical JSON (RFC 8785) of spec and inputs; the version is a name, not content."""
    unsaid = {"recording"} if spec.recording is None else set()
    content = {
        "spec": spec.model_dump(mode="json", exclude={"version", "route", "rollout"} | unsaid),
        "inputs": asdict(inputs),
    }
    return "sha256:" + hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def _store(
    plane: Plane, tx: Writing, request: DeployRequest, inputs: Inputs, asker: Asker
) -> Deployed:
    spec = request.spec
    backend = _backend(plane, tx, spec.name, asker)
    history = tx.releases(spec.name)
    digest = release_digest(spec, inputs)
    same = _same_release(spec, digest, history)
    if same is not None:
        is_new, version = False, same.version
        changed = _revive(plane, tx, same, asker)
    else:
        is_new = changed = True
        version = _add(plane, tx, request, inputs, digest, asker).version
    if _rolls_out(backend, version, request) and changed:
        weights = start(plane, tx, backend, version, spec, asker)
    else:
        weights = _weights(backend, version, request)
    is_newest = same is None or same.number == len(history)
    keeps_route = not is_new and is_newest and request.weight is None and not changed
    if weights != backend.wanted and not keeps_route:
        tx.put_backend(replace(backend, wanted=weights))
        note(
            plane,
            tx,
            Kind.ROUTE_WANTED,
            Change(
                actor=asker.actor,
                reason=asker.reason or "deploy",
                about=(spec.name, version),
                before={"weights": dict(backend.wanted)},
                after={"weights": dict(weights)},
            ),
        )
        changed = True
    return Deployed(
        backend=spec.name, version=version, digest=digest, is_new=is_new, changed=changed
    )


def _rolls_out(backend: Backend, version: str, request: DeployRequest) -> bool:
    """Whether the release takes over by a judged rollout: the spec asks for one, and nobody set a weight."""
    return (
        request.spec.rollout is not None
        and request.weight is None
        and backend.stable is not None
        and backend.stable != version
    )


def _backend(plane: Plane, tx: Writing, name: str, asker: Asker) -> Backend:
    backend = tx.backend(name)
    if backend is None:
        backend = tx.put_backend(Backend(name=name, created_at=plane.clock.now()))
        note(
            plane,
            tx,
            Kind.BACKEND_CREATED,
            Change(actor=asker.actor, reason=asker.reason or "deploy", about=(name, None)),
        )
    if backend.is_deleting:
        raise Conflict(
            f"backend {name} is being deleted", hint="wait until `pai status` no longer lists it"
        )
    return backend


def _same_release(spec: Spec, digest: str, history: list[Release]) -> Release | None:
    if spec.version is None:
        return next((r for r in reversed(history) if r.digest == digest), None)
    found = next((release for release in history if release.version == spec.version), None)
    if found is not None and found.digest != digest:
        raise Conflict(
            f"{found.id} exists with other content, and releases are immutable",
            hint="choose another version, or leave it out for the next one",
        )
    return found


def _revive(plane: Plane, tx: Writing, release: Release, asker: Asker) -> bool:
    """Start a known release again when it failed or was retired; return whether anything changed."""
    state = next(s for s in tx.release_states(release.backend) if s.version == release.version)
    if state.phase is ReleasePhase.FAILED:
        phase = ReleasePhase.PREPARING
        with plane.work.lock:
            plane.work.prepare_failures.pop((release.backend, release.version), None)
    elif state.phase is ReleasePhase.RETIRED:
        phase = ReleasePhase.STARTING
    else:
        return False
    tx.put_release_state(
        replace(
            state,
            phase=phase,
            phase_since=plane.clock.now(),
            failure="",
            unrouted_since=None,
            replicas_wanted=state.replicas_wanted or release.spec.replicas,
        )
    )
    note(
        plane,
        tx,
        Kind.RELEASE_SCALED,
        Change(
            actor=asker.actor,
            reason=asker.reason or "deployed again",
            about=(release.backend, release.version),
            before={"phase": state.phase.value},
            after={"phase": phase.value},
        ),
    )
    return True


def _add(
    plane: Plane,
    tx: Writing,
    request: DeployRequest,
    inputs: Inputs,
    digest: str,
    asker: Asker,
) -> Release:
    spec = request.spec
    history = tx.releases(spec.name)
    now = plane.clock.now()
    release = Release(
        backend=spec.name,
        version=spec.version or next_version(history),
        number=len(history) + 1,
        digest=digest,
        spec=spec,
        inputs=inputs,
        created_at=now,
        created_by=asker.actor,
    )
    tx.add_release(release)
    tx.put_release_state(
        ReleaseState(
            backend=spec.name,
            version=release.version,
            phase=ReleasePhase.PREPARING,
            replicas_wanted=spec.replicas,
            phase_since=now,
        )
    )
    note(
        plane,
        tx,
        Kind.RELEASE_CREATED,
        Change(
            actor=asker.actor,
            reason=asker.reason or "deploy",
            about=(spec.name, release.version),
            after={"digest": digest, "inputs": asdict(inputs)},
        ),
    )
    return release


def next_version(history: list[Release]) -> str:
    """Return the next ``v<N>`` that no release has."""
    taken = {release.version for release in history}
    number = len(history) + 1
    while f"v{number}" in taken:
        number += 1
    return f"v{number}"


def _weights(backend: Backend, version: str, request: DeployRequest) -> Weights:
    """Give the release its share; the others keep their proportions in what is left."""
    percent = request.spec.route.weight if request.weight is None else request.weight
    others = tuple(pair for pair in backend.wanted if pair[0] != version)
    if not others:
        return ((version, WEIGHT_SUM),)
    share = percent * WEIGHT_SUM // 100
    mine = ((version, share),) if share else ()
    return rescale(others, WEIGHT_SUM - share) + mine
