"""From a decision to replica counts: added to where there is room, exchanged where there is none."""

from dataclasses import replace

from prometheus_ai.domain.release import Backend, ReleasePhase, ReleaseState
from prometheus_ai.domain.rollout import RolloutDecision, RolloutPhase
from prometheus_ai.reconcile import versions_of

States = dict[str, ReleaseState]

_UNPREPARED = frozenset({ReleasePhase.PREPARING, ReleasePhase.FAILED})


def counts(backend: Backend, states: States, made: RolloutDecision) -> States:
    """Return the states of the releases in a rollout as the decision wants them."""
    if made.state.plan.is_swap:
        return _exchanged(backend, states, made)
    moved = {}
    for version, fewest in made.replicas:
        state = states.get(version)
        if state is not None and state.phase not in _UNPREPARED:
            most = max(fewest, state.replicas_wanted)
            moved[version] = replace(state, replicas_wanted=most, phase=_phase(state, fewest))
    return moved


def _exchanged(backend: Backend, states: States, made: RolloutDecision) -> States:
    """Set both counts exactly: one release's replicas make room for the other's."""
    candidate = states.get(made.state.candidate)
    if candidate is None or candidate.phase is ReleasePhase.PREPARING:
        # Nothing is stopped for a release that may turn out not to be able to run.
        return {}
    moved = {}
    for version, count in made.replicas:
        state = states.get(version)
        if state is not None and state.phase not in _UNPREPARED:
            moved[version] = replace(state, replicas_wanted=count, phase=_phase(state, count))
    if made.state.has_ended:
        for version, whole in _left(made).items():
            state = moved.get(version) or states.get(version)
            if state is not None and state.phase not in _UNPREPARED:
                moved[version] = _dismissed(backend, state, whole)
    return moved


def _left(made: RolloutDecision) -> dict[str, int]:
    """Return the release that has to go, with the count it would come back with."""
    state = made.state
    if state.phase is RolloutPhase.DONE and state.weight == 100:
        return {} if state.stable is None else {state.stable: state.plan.stable_replicas}
    return {state.candidate: state.plan.steps[-1].candidate_replicas}


def _dismissed(backend: Backend, state: ReleaseState, whole: int) -> ReleaseState:
    """Retire a release at once; one that still has traffic keeps no replica, and is retired when it has none."""
    if state.version in versions_of(backend.in_force):
        return replace(state, replicas_wanted=0)
    return replace(state, phase=ReleasePhase.RETIRED, replicas_wanted=max(1, whole))


def _phase(state: ReleaseState, count: int) -> ReleasePhase:
    if state.phase is ReleasePhase.RETIRED and count:
        return ReleasePhase.STARTING
    return state.phase
