"""The schedule that a rollout would follow, or follows, with what it rests on."""

from dataclasses import dataclass, replace

from prometheus_ai.control.intake.spec_files import unsupported
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollout_memory import active
from prometheus_ai.control.rollouts.begin import plan_of
from prometheus_ai.control.room import cores_declared
from prometheus_ai.control.show.status import existing
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.rollout import RolloutPlan, StepPlan
from prometheus_ai.domain.spec import Spec
from prometheus_ai.ports.state_store import Reading


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanStep:
    """One step of a schedule."""

    what: str
    """``mirror``, ``traffic``, or ``bake`` for the last."""
    percent: float
    candidate_replicas: int
    stable_replicas: int
    at_least_s: float
    """Shortest time on it, even with a PASS."""
    expected_s: float
    """Until a verdict at the present traffic."""
    rollback_s: float
    """Until the old release could take everything back; 0 is at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanView:
    """A schedule, or why there can be none."""

    backend: str
    strategy: str
    stable: str | None
    candidate: str
    """The release that follows it now; empty for one that would be deployed."""
    steps: tuple[PlanStep, ...]
    refusal: str
    """Why the rollout would be refused before anything changes; empty when it fits."""
    notes: tuple[str, ...]
    is_in_place: bool
    rate_per_s: float
    requests_to_decide: int
    """Requests that the candidate answers before it can be cleared, at the baseline's own rates."""
    demand: float
    """Most requests inside at once lately."""
    start_s: float
    """How long a replica takes to start, as measured."""
    memory_bytes_free: int
    gpus_free: int


def plan_for_spec(plane: Plane, spec: Spec) -> PlanView:
    """Return the schedule that a deploy of this spec would follow."""
    problems = unsupported(plane, spec)
    with plane.lock, plane.store.read() as reading:
        view = _view(plane, reading, spec)
    if not problems:
        return view
    return replace(view, refusal="; ".join((*problems, *filter(None, (view.refusal,)))))


def plan_for_backend(plane: Plane, name: str) -> PlanView:
    """Return the schedule of the rollout under way, or that of deploying the newest spec once more.

    Raises:
        NotFound: there is no such backend, or it has no release.
    """
    held = active(plane, name)
    with plane.lock, plane.store.read() as reading:
        existing(reading, name)
        history = reading.releases(name)
        if not history:
            raise NotFound(f"backend {name} has no release", hint="deploy one first")
        if held is None:
            return _view(plane, reading, history[-1].spec)
        release = reading.release(name, held.state.candidate) or history[-1]
        return _view(plane, reading, release.spec, (release.version, held.state.plan))


def _view(
    plane: Plane, reading: Reading, spec: Spec, under_way: tuple[str, RolloutPlan] | None = None
) -> PlanView:
    policy = spec.rollout or RolloutSpec()
    made, inputs = plan_of(plane, reading, spec, policy)
    candidate, plan = under_way or ("", made)
    ground = inputs.ground
    backend = reading.backend(spec.name)
    notes = [*plan.notes]
    if spec.rollout is None:
        notes.append(
            f"the spec has no rollout section: a deploy gives it {spec.route.weight} % at once;"
            " this is the default canary"
        )
    notes.extend(_cores(plane, reading, spec, plan))
    return PlanView(
        backend=spec.name,
        strategy=policy.strategy,
        stable=backend.stable if backend is not None else None,
        candidate=candidate,
        steps=_steps(plan, policy),
        refusal=plan.refusal,
        notes=tuple(notes),
        is_in_place=plan.is_swap,
        rate_per_s=round(ground.rate_per_s, 3),
        requests_to_decide=ground.requests_to_decide,
        demand=round(ground.demand, 3),
        start_s=ground.start_s,
        memory_bytes_free=ground.free.memory_bytes,
        gpus_free=ground.free.gpu,
    )


def _steps(plan: RolloutPlan, policy: RolloutSpec) -> tuple[PlanStep, ...]:
    steps = [_step("mirror", plan.shadow, policy.step_s)] if plan.shadow is not None else []
    for step in plan.steps:
        is_last = step.percent >= 100
        steps.append(
            _step(
                "bake" if is_last else "traffic", step, policy.bake_s if is_last else policy.step_s
            )
        )
    return tuple(steps)


def _step(what: str, step: StepPlan, at_least_s: float) -> PlanStep:
    return PlanStep(
        what=what,
        percent=step.percent,
        candidate_replicas=step.candidate_replicas,
        stable_replicas=step.stable_replicas,
        at_least_s=at_least_s,
        expected_s=round(step.expected_s, 1),
        rollback_s=round(step.rollback_s, 1),
    )


def _cores(plane: Plane, reading: Reading, spec: Spec, plan: RolloutPlan) -> tuple[str, ...]:
    """Say where more cores would be declared than there are: that is slower, and no reason to refuse."""
    total = plane.driver(spec.target).capabilities().cpus_total
    most = max((step.candidate_replicas for step in plan.steps), default=0)
    declared = cores_declared(reading, spec.target) + most * spec.resources.cpu
    if not total or declared <= total:
        return ()
    return (
        f"replicas declare {declared:g} cores and {spec.target} has {total:g}: they share them",
    )
