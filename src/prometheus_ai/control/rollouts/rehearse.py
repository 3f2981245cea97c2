"""The way back is walked before it is needed: a flip to the stable release, measured, and forward again."""

from dataclasses import replace

from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.loop.publish import flip
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollout_memory import Held, active, keep
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.rollout import RolloutState
from prometheus_ai.domain.route import WEIGHT_SUM, Weights
from prometheus_ai.rollout import step_plan

ACTOR = "control-plane"


def rehearse(plane: Plane, name: str) -> None:
    """Measure how long a rollback takes to come into force, if the stable release could take all traffic now.

    Clients that stay on one release are not moved for it: then the same weights are published anew.
    What is wanted does not change, so a death in between leaves nothing behind.
    """
    held = active(plane, name)
    route = plane.routing.routes.get(name)
    if held is None or route is None or held.state.stable is None:
        return
    if not _may_go_back(held.state) or len(route.weights) != _releases(held.state):
        return
    back: Weights = ((held.state.stable, WEIGHT_SUM),)
    is_dry = route.sticky is not None
    flipped = flip(plane, name, route.weights if is_dry else back)
    if flipped is None:
        return
    if not is_dry:
        # Should this one be refused or lost, the next pass publishes what is wanted.
        flip(plane, name, route.weights)
    _keep(plane, name, replace(held, flip_ms=round(flipped * 1000, 1)))


def _may_go_back(state: RolloutState) -> bool:
    return state.weight > 0 and step_plan(state).rollback_s == 0


def _releases(state: RolloutState) -> int:
    """Return how many releases have traffic once the step is in force."""
    return 1 if state.weight == 100 else 2


def _keep(plane: Plane, name: str, held: Held) -> None:
    plane.rollouts[name] = held
    with plane.store.write() as tx:
        keep(tx, name, held)
        note(
            plane,
            tx,
            Kind.ROLLOUT_REHEARSED,
            Change(
                actor=ACTOR,
                reason=f"a rollback would be in force after {held.flip_ms:g} ms",
                about=(name, held.state.candidate),
                after={"took_ms": held.flip_ms},
            ),
        )
