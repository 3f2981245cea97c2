"""How a rollout under way is shown: where it stands, what the evidence says, and the way back."""

from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollout_memory import Held, active
from prometheus_ai.control.show.views import GateView, RolloutView
from prometheus_ai.domain.evidence import GateResult
from prometheus_ai.rollout import step_plan


def rollout_view(plane: Plane, name: str) -> RolloutView | None:
    """Return the rollout under way; None when there is none."""
    held = active(plane, name)
    if held is None:
        return None
    state, verdict = held.state, held.verdict
    compared = verdict.comparison if verdict is not None else None
    return RolloutView(
        candidate=state.candidate,
        stable=state.stable,
        strategy=state.strategy,
        phase=state.phase.value,
        steps=tuple(step.percent for step in state.plan.steps),
        step=state.step,
        weight=state.weight,
        is_paused=state.paused_since is not None,
        verdict=verdict.outcome.value if verdict is not None else "",
        reason=verdict.reason if verdict is not None else state.reason,
        decide_in_s=verdict.decide_in_s if verdict is not None else None,
        gates=tuple(gate_view(gate) for gate in compared.gates) if compared is not None else (),
        flip_ms=held.flip_ms,
        rollback_s=step_plan(state).rollback_s,
        is_in_place=state.plan.is_swap,
    )


def gate_view(gate: GateResult) -> GateView:
    """Return a gate with the share of the evidence that it needs, both ways."""
    return GateView(
        gate=gate.gate,
        outcome=gate.outcome.value,
        harm=min(1.0, max(0.0, gate.harm)),
        safety=min(1.0, max(0.0, gate.safety)),
        candidate=gate.candidate,
        baseline=gate.baseline,
        decide_in_s=gate.decide_in_s,
        detail=gate.detail,
        is_gating=gate.is_gating,
    )


def under_way(held: Held) -> tuple[str, ...]:
    """Say where a rollout stands, and what would take it back."""
    state, verdict = held.state, held.verdict
    lines = [
        f"rollout of {state.candidate}: {state.phase.value} at {state.weight:g} %; {state.reason}"
    ]
    if verdict is not None:
        when = (
            "" if verdict.decide_in_s is None else f"; decided in about {verdict.decide_in_s:.0f} s"
        )
        lines.append(f"verdict {verdict.outcome.value}: {verdict.reason}{when}")
    if held.replayed:
        lines.append(f"{held.replayed} kept requests were replayed to both releases")
    lines.extend(_way_back(held))
    return tuple(lines)


def _way_back(held: Held) -> tuple[str, ...]:
    back_s = step_plan(held.state).rollback_s
    if held.state.stable is None:
        return ()
    if back_s > 0:
        return (f"a rollback takes about {back_s:.0f} s: stopped replicas have to start again",)
    if held.flip_ms is None:
        return ()
    return (f"a rollback is in force after {held.flip_ms:g} ms, as rehearsed on this rollout",)
