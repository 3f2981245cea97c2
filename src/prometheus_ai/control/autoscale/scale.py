"""Scale: how many replicas each release with traffic has."""

from dataclasses import dataclass, replace

from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.loop.passes import act_on
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.domain.errors import Conflict, InvalidInput, NotFound
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.release import Backend, Release, ReleasePhase, ReleaseState
from prometheus_ai.reconcile import versions_of

REPLICAS_MAX = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaled:
    """What a change of replica counts came to."""

    backend: str
    replicas: int
    versions: tuple[str, ...]
    """The releases that now have this count."""


def scale(plane: Plane, name: str, replicas: int, version: str | None, asker: Asker) -> Scaled:
    """Set the replica count of one release, or of all that have traffic.

    Raises:
        NotFound: the backend or version does not exist.
        InvalidInput: the count is out of bounds, or zero for a release with traffic.
        Conflict: the release is not running.
    """
    if not 0 <= replicas <= REPLICAS_MAX:
        raise InvalidInput(f"replicas must be between 0 and {REPLICAS_MAX}, not {replicas}")
    with plane.lock:
        with plane.store.write() as tx:
            backend = tx.backend(name)
            if backend is None:
                raise NotFound(f"there is no backend {name!r}", hint="`pai status` lists them")
            chosen = _chosen(backend, tx.release_states(name), version)
            routed = versions_of(backend.wanted) | versions_of(backend.in_force)
            _refuse_where_a_policy_scales(tx.releases(name), chosen)
            for state in chosen:
                if replicas == 0 and state.version in routed:
                    raise InvalidInput(
                        f"{name}/{state.version} has traffic and cannot have 0 replicas",
                        hint="route its traffic elsewhere first",
                    )
                if state.replicas_wanted == replicas:
                    continue
                tx.put_release_state(replace(state, replicas_wanted=replicas))
                note(
                    plane,
                    tx,
                    Kind.RELEASE_SCALED,
                    Change(
                        actor=asker.actor,
                        reason=asker.reason or "scale",
                        about=(name, state.version),
                        before={"replicas": state.replicas_wanted},
                        after={"replicas": replicas},
                    ),
                )
        act_on(plane, name)
    versions = tuple(state.version for state in chosen)
    return Scaled(backend=name, replicas=replicas, versions=versions)


def _refuse_where_a_policy_scales(releases: list[Release], chosen: list[ReleaseState]) -> None:
    """Replica counts have one owner: a person, or the policy."""
    policies = {release.version: release.spec.scaling for release in releases}
    for state in chosen:
        if policies.get(state.version) is not None:
            raise Conflict(
                f"{state.backend}/{state.version} is scaled by its policy",
                hint="change scaling.min and scaling.max in the spec and deploy it",
            )


def _chosen(
    backend: Backend, states: list[ReleaseState], version: str | None
) -> list[ReleaseState]:
    routed = versions_of(backend.wanted)
    wanted = routed if version is None else frozenset({version})
    chosen = [state for state in states if state.version in wanted]
    if not chosen:
        raise NotFound(
            f"backend {backend.name} has no release {version!r}"
            if version
            else f"backend {backend.name} has no release with traffic"
        )
    for state in chosen:
        if state.phase in {ReleasePhase.FAILED, ReleasePhase.RETIRED}:
            raise Conflict(
                f"{backend.name}/{state.version} is {state.phase.value}",
                hint="give it traffic with `pai route` or deploy it again",
            )
    return chosen
