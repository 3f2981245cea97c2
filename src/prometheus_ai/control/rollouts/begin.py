"""Beginning a rollout: the plan is made and checked before anything changes."""

from dataclasses import replace

from prometheus_ai.analysis import begin_evidence
from prometheus_ai.control.decisions import Made, PlanInputs, remember
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.control.rollout_memory import Held, active, keep, load
from prometheus_ai.control.rollouts.ground import ground_for
from prometheus_ai.control.rollouts.measure import history
from prometheus_ai.domain.errors import Refused
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.release import Backend
from prometheus_ai.domain.rollout import RolloutPlan
from prometheus_ai.domain.route import WEIGHT_SUM, Weights
from prometheus_ai.domain.spec import Spec
from prometheus_ai.ports.state_store import Reading, Writing
from prometheus_ai.rollout import begin, plan_rollout, supersede


def plan_of(
    plane: Plane, reading: Reading, spec: Spec, policy: RolloutSpec
) -> tuple[RolloutPlan, PlanInputs]:
    """Return the schedule that a deploy of this spec would follow, or its refusal; and what it rests on."""
    inputs = PlanInputs(ground=ground_for(plane, reading, spec, policy), policy=policy)
    return plan_rollout(inputs.ground, policy), inputs


def start(
    plane: Plane, tx: Writing, backend: Backend, candidate: str, spec: Spec, asker: Asker
) -> Weights:
    """Begin the rollout of a candidate inside a deploy; return the weights that are wanted now.

    Raises:
        Refused: no schedule fits the room there is.
    """
    policy = spec.rollout
    assert policy is not None
    now = plane.clock.now()
    plan, inputs = plan_of(plane, tx, spec, policy)
    if plan.refusal:
        raise Refused(f"the rollout does not fit: {plan.refusal}", hint="; ".join(plan.notes))
    remember(plane, tx, _made(backend.name, candidate, plan, inputs), now)
    weights, stable = _take_over(plane, tx, backend, candidate, asker)
    held = Held(
        state=begin(candidate, stable, plan, policy, now),
        evidence=begin_evidence(
            candidate, stable, policy.gates, history(tx, backend.name, stable, now)
        ),
    )
    keep(tx, backend.name, held)
    _begin_small(tx, backend.name, candidate, plan)
    note(
        plane,
        tx,
        Kind.ROLLOUT_BEGUN,
        Change(
            actor=asker.actor,
            reason=asker.reason or "deploy",
            about=(backend.name, candidate),
            after={
                "strategy": policy.strategy,
                "steps": [f"{step.percent:g} %" for step in plan.steps],
                "stable": stable,
                "in_place": plan.is_swap,
            },
        ),
    )
    return weights


def _take_over(
    plane: Plane, tx: Writing, backend: Backend, candidate: str, asker: Asker
) -> tuple[Weights, str]:
    """End the rollout under way, if there is one; return the weights to begin with, and who is stable."""
    stable, weights = backend.stable, backend.wanted
    before = active(plane, backend.name)
    if before is not None:
        ended, stable = supersede(before.state, candidate, plane.clock.now())
        weights = ((stable, WEIGHT_SUM),) if stable is not None else weights
        note(
            plane,
            tx,
            Kind.ROLLOUT_ENDED,
            Change(
                actor=asker.actor,
                reason=ended.reason,
                about=(backend.name, ended.candidate),
                after={"phase": ended.phase.value},
            ),
        )
    assert stable is not None
    return weights, stable


def _begin_small(tx: Writing, name: str, candidate: str, plan: RolloutPlan) -> None:
    """Start with what the first step needs; where replicas are exchanged, with none until there is room."""
    first = plan.shadow or plan.steps[0]
    state = next(state for state in tx.release_states(name) if state.version == candidate)
    wanted = 0 if plan.is_swap else first.candidate_replicas
    tx.put_release_state(replace(state, replicas_wanted=wanted))


def keep_refusal(plane: Plane, spec: Spec) -> None:
    """Store the refusal of a rollout, which left no other trace."""
    if spec.rollout is None:
        return
    with plane.lock, plane.store.write() as tx:
        backend = tx.backend(spec.name)
        if backend is None or backend.stable is None:
            return
        plan, inputs = plan_of(plane, tx, spec, spec.rollout)
        if plan.refusal:
            made = _made(spec.name, spec.version or "", plan, inputs)
            remember(plane, tx, made, plane.clock.now())


def _made(name: str, version: str, plan: RolloutPlan, inputs: PlanInputs) -> Made:
    steps = ", ".join(f"{step.percent:g} %" for step in plan.steps)
    return Made(
        backend=name,
        version=version,
        act="refuse" if plan.refusal else "plan",
        reason=plan.refusal or f"{inputs.policy.strategy}: {steps}",
        inputs=inputs,
        answer=plan,
    )


def resume(plane: Plane, name: str) -> None:
    """Take up the stored rollout of a backend, as a deploy left it."""
    with plane.store.read() as reading:
        held = load(reading, name)
    if held is not None:
        plane.rollouts[name] = held


def resume_all(plane: Plane) -> None:
    """Take up the rollouts that were under way when the control plane ended."""
    with plane.store.read() as reading:
        names = [backend.name for backend in reading.backends()]
    for name in names:
        resume(plane, name)
