"""Back to a release whose replicas are gone, on a machine that has no room for it beside those that run."""

from dataclasses import replace

from prometheus_ai.control.loop.passes import act_on
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.control.rollouts.begin import plan_of, resume, start
from prometheus_ai.control.rollouts.command import command
from prometheus_ai.control.rollouts.ground import start_s
from prometheus_ai.domain.release import Backend, ReleasePhase
from prometheus_ai.domain.rollout import Command, RolloutPlan
from prometheus_ai.domain.route import WEIGHT_SUM
from prometheus_ai.ports.state_store import Writing


def exchange_back(plane: Plane, name: str, version: str, asker: Asker) -> str:
    """Begin to exchange replicas for those of an earlier release, without waiting for verdicts.

    Return what it waits for; empty where there is room beside, or nothing that fits can be planned:
    then replicas start beside those that run, as ever.
    """
    with plane.lock:
        with plane.store.read() as reading:
            states = {state.version: state for state in reading.release_states(name)}
        if version not in states or states[version].phase is not ReleasePhase.RETIRED:
            # The usual rollback: not one write before the flip.
            return ""
        with plane.store.write() as tx:
            backend = tx.backend(name)
            plan = None if backend is None else _begin(plane, tx, backend, version, asker)
            if plan is None:
                return ""
            each_s = start_s(plane, tx, (name, version), plane.clock.now())
        resume(plane, name)
        plane.wake.set()
        act_on(plane, name)
        command(plane, name, Command.PROMOTE.value, asker)
    return (
        f"there is no room for {version} beside what runs: replicas are exchanged in"
        f" {len(plan.steps)} steps, about {each_s * len(plan.steps):.0f} s; traffic follows them"
    )


def _begin(
    plane: Plane, tx: Writing, backend: Backend, version: str, asker: Asker
) -> RolloutPlan | None:
    release = tx.release(backend.name, version)
    states = {state.version: state for state in tx.release_states(backend.name)}
    is_settled = backend.stable is not None and backend.wanted == ((backend.stable, WEIGHT_SUM),)
    if release is None or release.spec.rollout is None or not is_settled:
        return None
    if version == backend.stable:
        return None
    plan, _ = plan_of(plane, tx, release.spec, release.spec.rollout)
    if plan.refusal or not plan.is_swap or plan.fits_beside:
        return None
    tx.put_release_state(
        replace(
            states[version], phase=ReleasePhase.STARTING, phase_since=plane.clock.now(),
            failure="", unrouted_since=None,
        )
    )  # fmt: skip
    start(plane, tx, backend, version, release.spec, asker)
    return plan
