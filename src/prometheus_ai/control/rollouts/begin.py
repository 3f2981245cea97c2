"""Beginning a rollout: the plan is made and checked before anything changes."""

import math

from prometheus_ai.analysis import begin_evidence
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.control.rollout_memory import Held, active, keep, load
from prometheus_ai.control.rollouts.measure import history
from prometheus_ai.domain.errors import Refused
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.release import Backend
from prometheus_ai.domain.rollout import RolloutPlan
from prometheus_ai.domain.route import WEIGHT_SUM, Weights
from prometheus_ai.domain.spec import Spec
from prometheus_ai.ports.state_store import Reading, Writing
from prometheus_ai.rollout import Ground, Room, begin, plan_rollout, supersede

CPU_SHARED = math.inf
"""Processes of one machine share its cores, so cores never refuse a rollout; memory and GPUs do."""


def plan_for(plane: Plane, reading: Reading, spec: Spec, policy: RolloutSpec) -> RolloutPlan:
    """Return the schedule that a deploy of this spec would follow, or its refusal."""
    backend = reading.backend(spec.name)
    stable = backend.stable if backend is not None else None
    states = {state.version: state for state in reading.release_states(spec.name)}
    running = states[stable].replicas_wanted if stable in states else 0
    size = Room(cpu=0.0, memory_bytes=spec.resources.memory_bytes, gpu=spec.resources.gpu)
    return plan_rollout(
        Ground(
            stable_replicas=running,
            stable_size=size,
            candidate_size=size,
            free=_free(plane, reading, spec.target),
        ),
        policy,
    )


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
    plan = plan_for(plane, tx, spec, policy)
    if plan.refusal:
        raise Refused(f"the rollout does not fit: {plan.refusal}", hint="; ".join(plan.notes))
    if plan.is_swap:
        raise Refused(
            "the rollout does not fit beside what runs, and exchanging replicas in place is not carried out yet",
            hint="free memory or GPUs on the target, or deploy with --weight",
        )
    stable = backend.stable
    weights = backend.wanted
    before = active(plane, backend.name)
    if before is not None:
        ended, stable = supersede(before.state, candidate, now)
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
    held = Held(
        state=begin(candidate, stable, plan, policy, now),
        evidence=begin_evidence(
            candidate, stable, policy.gates, history(tx, backend.name, stable, now)
        ),
    )
    keep(tx, backend.name, held)
    steps = [f"{step.percent:g} %" for step in plan.steps]
    note(
        plane,
        tx,
        Kind.ROLLOUT_BEGUN,
        Change(
            actor=asker.actor,
            reason=asker.reason or "deploy",
            about=(backend.name, candidate),
            after={"strategy": policy.strategy, "steps": steps, "stable": stable},
        ),
    )
    return weights


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


def _free(plane: Plane, reading: Reading, target: str) -> Room:
    """Return what is free on a target beside everything that is wanted there."""
    total = plane.driver(target).capabilities()
    specs = {(r.backend, r.version): r.spec for r in reading.releases()}
    memory, gpus = total.memory_bytes_total, total.gpus
    for record in reading.open_replicas():
        spec = specs.get((record.backend, record.version))
        if spec is not None and record.target == target:
            memory -= spec.resources.memory_bytes
            gpus -= spec.resources.gpu
    return Room(cpu=CPU_SHARED, memory_bytes=max(0, memory), gpu=max(0, gpus))
