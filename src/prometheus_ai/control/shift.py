"""Shifting traffic: route, promote, roll back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.loop.passes import act_on
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.control.rollout_memory import active
from prometheus_ai.control.rollouts.back import exchange_back
from prometheus_ai.control.rollouts.command import command
from prometheus_ai.control.rollouts.ground import start_s
from prometheus_ai.domain.errors import Conflict, InvalidInput, NotFound
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.release import Backend, Release, ReleasePhase, ReleaseState
from prometheus_ai.domain.rollout import Command
from prometheus_ai.domain.route import WEIGHT_SUM, Weights, weights_from_percent
from prometheus_ai.ports.state_store import Reading

_Choose = Callable[[Reading, Backend], Weights]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shifted:
    """What a change of traffic came to."""

    backend: str
    weights: Mapping[str, int]
    """Wanted weights in basis points."""
    is_in_force: bool
    """Whether the gateway serves them already; if not, ``waits_for`` says why."""
    waits_for: str = ""
    took_ms: float = 0.0
    """From the request to the gateway's confirmation."""


def route(plane: Plane, name: str, percent: Mapping[str, float], asker: Asker) -> Shifted:
    """Want exactly these weights.

    Raises:
        NotFound: the backend or a version does not exist.
        InvalidInput: the weights do not sum to 100.
        Conflict: a version failed, or the backend is being deleted.
    """
    weights = weights_from_percent(percent)
    _refuse_during_rollout(plane, name)
    return _shift(plane, name, lambda _tx, _backend: weights, asker, "route")


def promote(plane: Plane, name: str, version: str | None, asker: Asker) -> Shifted:
    """Give all traffic to a version: by default the newest release that is not the stable one.

    A rollout under way goes straight to its last step; it waits for the replicas that this needs.

    Raises:
        NotFound: the backend or version does not exist.
        Conflict: there is nothing to promote.
    """
    held = active(plane, name)
    if held is not None and version in {None, held.state.candidate}:
        return _commanded(plane, name, Command.PROMOTE, asker)
    _refuse_during_rollout(plane, name)

    def weights(tx: Reading, backend: Backend) -> Weights:
        return ((version or _candidate(tx, backend), WEIGHT_SUM),)

    return _shift(plane, name, weights, asker, "promote")


def rollback(plane: Plane, name: str, version: str | None, asker: Asker) -> Shifted:
    """Return all traffic to a version: by default the stable one while another has traffic, else the one before.

    Raises:
        NotFound: the backend or version does not exist.
        Conflict: there is nothing to roll back to.
    """
    held = active(plane, name)
    if held is not None and version in {None, held.state.stable}:
        return _commanded(plane, name, Command.ROLLBACK, asker)
    _refuse_during_rollout(plane, name)

    with plane.store.read() as reading:
        chosen = version or _rollback_target(_existing(reading, name))
    waits_for = exchange_back(plane, name, chosen, asker)
    if waits_for:
        return Shifted(
            backend=name, weights={chosen: WEIGHT_SUM}, is_in_force=False, waits_for=waits_for,
            took_ms=0.0,
        )  # fmt: skip

    def weights(_tx: Reading, _backend: Backend) -> Weights:
        return ((chosen, WEIGHT_SUM),)

    return _shift(plane, name, weights, asker, "rollback")


def _commanded(plane: Plane, name: str, word: Command, asker: Asker) -> Shifted:
    started = plane.clock.monotonic()
    command(plane, name, word.value, asker)
    return _shifted(plane, name, started)


def _refuse_during_rollout(plane: Plane, name: str) -> None:
    """A rollout owns the weights while it is under way: nobody fights it."""
    held = active(plane, name)
    if held is not None:
        raise Conflict(
            f"the rollout of {name}/{held.state.candidate} is under way and owns the weights",
            hint=f"end it first: pai rollback {name}, pai promote {name} or pai rollout abort {name}",
        )


def _rollback_target(backend: Backend) -> str:
    alone = ((backend.stable, WEIGHT_SUM),)
    if backend.stable is not None and backend.wanted != alone:
        return backend.stable
    if backend.previous is None:
        raise Conflict(
            f"backend {backend.name} has no earlier version to roll back to",
            hint="name one with --to; `pai releases` lists them",
        )
    return backend.previous


def _candidate(tx: Reading, backend: Backend) -> str:
    states = {state.version: state for state in tx.release_states(backend.name)}
    for release in reversed(tx.releases(backend.name)):
        if states[release.version].phase is ReleasePhase.FAILED:
            continue
        if release.version != backend.stable or backend.wanted != ((release.version, WEIGHT_SUM),):
            return release.version
        break
    raise Conflict(
        f"backend {backend.name} has nothing to promote: its newest release has all traffic"
    )


def _shift(plane: Plane, name: str, choose: _Choose, asker: Asker, verb: str) -> Shifted:
    started = plane.clock.monotonic()
    with plane.lock:
        with plane.store.write() as tx:
            backend = _existing(tx, name)
            weights = choose(tx, backend)
            releases = tx.releases(name)
            _check_versions(backend, weights, releases, tx.release_states(name))
            ordered = _in_order(weights, releases)
            if ordered != backend.wanted:
                tx.put_backend(replace(backend, wanted=ordered))
                note(
                    plane,
                    tx,
                    Kind.ROUTE_WANTED,
                    Change(
                        actor=asker.actor,
                        reason=asker.reason or verb,
                        about=(name, ordered[0][0] if len(ordered) == 1 else None),
                        before={"weights": dict(backend.wanted)},
                        after={"weights": dict(ordered)},
                    ),
                )
        act_on(plane, name)
    return _shifted(plane, name, started)


def _shifted(plane: Plane, name: str, started: float) -> Shifted:
    took_ms = (plane.clock.monotonic() - started) * 1000
    with plane.store.read() as reading:
        backend = _existing(reading, name)
        waits_for = _waits_for(plane, reading, backend)
    return Shifted(
        backend=name,
        weights=dict(backend.wanted),
        is_in_force=backend.in_force == backend.wanted,
        waits_for=waits_for,
        took_ms=round(took_ms, 3),
    )


def _existing(tx: Reading, name: str) -> Backend:
    backend = tx.backend(name)
    if backend is None:
        raise NotFound(f"there is no backend {name!r}", hint="`pai status` lists them")
    if backend.is_deleting:
        raise Conflict(f"backend {name} is being deleted")
    return backend


def _check_versions(
    backend: Backend, weights: Weights, releases: list[Release], states: list[ReleaseState]
) -> None:
    known = [release.version for release in releases]
    failed = {state.version: state for state in states if state.phase is ReleasePhase.FAILED}
    if not weights:
        raise InvalidInput("a route needs at least one version with weight")
    for version, _ in weights:
        if version not in known:
            raise NotFound(
                f"backend {backend.name} has no release {version!r}",
                hint=f"its releases: {', '.join(known)}",
            )
        if version in failed:
            raise Conflict(
                f"{backend.name}/{version} failed: {failed[version].failure}",
                hint="deploy it again, or route to another version",
            )


def _in_order(weights: Weights, releases: list[Release]) -> Weights:
    """Sort by release number: a constant order keeps sticky clients where they are."""
    number = {release.version: release.number for release in releases}
    return tuple(sorted(weights, key=lambda pair: number[pair[0]]))


def _waits_for(plane: Plane, reading: Reading, backend: Backend) -> str:
    if backend.in_force == backend.wanted:
        return ""
    now, name = plane.clock.now(), backend.name
    phases = {state.version: state.phase for state in reading.release_states(name)}
    waiting = [
        f"{version} is {phases[version].value}, a replica takes"
        f" about {start_s(plane, reading, (name, version), now):.1f} s"
        for version, _ in backend.wanted
        if phases[version] is not ReleasePhase.READY
    ]
    if waiting:
        return ", ".join(waiting)
    return plane.routing.last_error or "the gateway has not confirmed yet"
