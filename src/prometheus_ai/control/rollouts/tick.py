"""One tick: measure, judge, decide, record, apply."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from prometheus_ai.analysis import compare, observe, start_step
from prometheus_ai.control.decisions import Made, RolloutInputs, remember
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.loop.look import sight, views
from prometheus_ai.control.loop.passes import act_on
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollout_memory import Held, active, keep
from prometheus_ai.control.rollout_trace import traced
from prometheus_ai.control.rollouts.counts import counts
from prometheus_ai.control.rollouts.faults import replace_bad_replica
from prometheus_ai.control.rollouts.measure import interval
from prometheus_ai.control.rollouts.own_metrics import with_own
from prometheus_ai.control.rollouts.rehearse import rehearse
from prometheus_ai.control.rollouts.replay import kept_left, replayed
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.evidence import GateResult, Verdict
from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.release import ReleasePhase
from prometheus_ai.domain.rollout import Act, RolloutDecision, RolloutFacts, RolloutPhase
from prometheus_ai.domain.window import CounterSnapshot
from prometheus_ai.ports.state_store import Writing
from prometheus_ai.reconcile import BackendView
from prometheus_ai.rollout import judge, next_step

ACTOR = "control-plane"
KEEP_EVERY_S = 5.0
"""Evidence is stored this often; what a crash loses only delays the verdict."""


@dataclass(kw_only=True)
class Judge:
    """Moves every rollout on. Owned by one loop; commands of people come in through ``advance``."""

    plane: Plane
    previous: CounterSnapshot | None = None
    kept_at: dict[str, float] = field(default_factory=dict)

    def tick(self) -> None:
        """Measure and move every rollout that is under way.

        Raises:
            Unavailable: the gateway cannot be reached; rollouts wait, and nothing is concluded.
        """
        names = [name for name in self.plane.rollouts if active(self.plane, name) is not None]
        if not names:
            self.previous = None
            return
        now = self.plane.metrics.read()
        before, self.previous = self.previous or now, now
        for name in names:
            self._one(name, (before, now))

    def _one(self, name: str, span: tuple[CounterSnapshot, CounterSnapshot]) -> None:
        with self.plane.lock:
            held = active(self.plane, name)
            policy = _policy(self.plane, name, held)
            if held is None or policy is None:
                return
            at = self.plane.clock.now()
            is_sticky = _is_sticky(self.plane, name, held)
            measured = interval(self.plane, name, held, span, policy)
            held, again = replayed(self.plane, name, held, at)
            evidence = held.evidence
            if again is not None:
                evidence = observe(evidence, again, policy.gates)
            evidence = observe(evidence, measured, policy.gates)
            found = compare(evidence, policy.gates, at, is_sticky=is_sticky)
            verdict = judge(with_own(self.plane, name, found, at), policy, at)
            trace = traced(held.trace, verdict, held.state.weight, at)
            self.plane.rollouts[name] = replace(
                held, evidence=evidence, verdict=verdict, trace=trace
            )
            replace_bad_replica(self.plane, name)
        made = advance(self.plane, name)
        clock = self.plane.clock.monotonic()
        held = active(self.plane, name)
        if made is None and held is not None and clock - self.kept_at.get(name, 0.0) > KEEP_EVERY_S:
            self.kept_at[name] = clock
            with self.plane.lock, self.plane.store.write() as tx:
                keep(tx, name, held)


def advance(plane: Plane, name: str) -> RolloutDecision | None:
    """Let the decider move one rollout on, and apply what it says; None when nothing changed."""
    with plane.lock:
        held = active(plane, name)
        policy = _policy(plane, name, held)
        if held is None or policy is None:
            return None
        now = plane.clock.now()
        with plane.store.read() as reading:
            found = views(plane, reading, sight(plane), now, name)
        if not found:
            return None
        view = found[0][0]
        if any(release.target in view.unreachable for release in view.releases):
            # Nothing is concluded from a target's silence.
            return None
        facts = _facts(view, held, kept_left(plane, name, held, policy))
        made = next_step(held.state, facts, policy, now)
        changed = made.act is not Act.HOLD or made.state != held.state
        moved = replace(
            held,
            state=made.state,
            command=None,
            evidence=start_step(held.evidence) if made.starts_step else held.evidence,
        )
        if not (made.state.skips or made.state.hurries):
            # Nothing that was asked is left to do: what follows is not the asker's decision.
            moved = replace(moved, asked_by="", asked_why="")
        with plane.store.write() as tx:
            remember(
                plane,
                tx,
                _made(
                    name, RolloutInputs(state=held.state, facts=facts, policy=policy, now=now), made
                ),
                now,
            )
            applied = _apply(plane, tx, name, held, made)
            if changed:
                keep(tx, name, moved)
        plane.rollouts[name] = moved
        if applied or changed:
            act_on(plane, name)
        if made.starts_step:
            rehearse(plane, name)
        return made if changed else None


def _made(name: str, inputs: RolloutInputs, decision: RolloutDecision) -> Made:
    return Made(
        backend=name,
        version=decision.state.candidate,
        act=decision.act.value,
        reason=decision.reason,
        inputs=inputs,
        answer=decision,
        is_hold=decision.act is Act.HOLD and decision.state == inputs.state,
    )


def _facts(view: BackendView, held: Held, kept: int) -> RolloutFacts:
    ready: dict[str, int] = {}
    failure = ""
    for release in view.releases:
        if release.state.phase is ReleasePhase.READY:
            ready[release.version] = view.ready_count(release)
        if release.version == held.state.candidate and release.state.phase is ReleasePhase.FAILED:
            failure = release.state.failure or "it failed"
    return RolloutFacts(
        candidate_ready=ready.get(held.state.candidate, 0),
        stable_ready=ready.get(held.state.stable or "", 0),
        verdict=held.verdict,
        failure=failure,
        command=held.command,
        kept=kept,
    )


def _apply(plane: Plane, tx: Writing, name: str, held: Held, made: RolloutDecision) -> bool:
    """Store wanted weights and replica counts, and record the decision; return whether any changed."""
    backend = tx.backend(name)
    if backend is None or backend.is_deleting:
        return False
    states = {state.version: state for state in tx.release_states(name)}
    changed = False
    for version, moved in counts(backend, states, made).items():
        if moved != states[version]:
            tx.put_release_state(moved)
            changed = True
    weights = _ordered(made, backend.wanted)
    if weights and weights != backend.wanted:
        tx.put_backend(replace(backend, wanted=weights))
        changed = True
    if made.act is not Act.HOLD:
        note(
            plane,
            tx,
            _KINDS.get(made.state.phase, Kind.ROLLOUT_STEPPED),
            Change(
                actor=held.asked_by or ACTOR,
                reason=f"{made.reason} ({held.asked_why})" if held.asked_why else made.reason,
                about=(name, made.state.candidate),
                before={"weight": held.state.weight, "phase": held.state.phase.value},
                after={
                    "act": made.act.value,
                    "weight": made.state.weight,
                    "phase": made.state.phase.value,
                    "evidence": _evidence(held.verdict),
                },
            ),
        )
    return changed


_KINDS = {
    RolloutPhase.DONE: Kind.ROLLOUT_ENDED,
    RolloutPhase.ROLLED_BACK: Kind.ROLLOUT_ROLLED_BACK,
    RolloutPhase.ROLLING_BACK: Kind.ROLLOUT_ROLLED_BACK,
}


def _ordered(
    made: RolloutDecision, present: tuple[tuple[str, int], ...]
) -> tuple[tuple[str, int], ...]:
    """Keep a constant order, stable first, so that sticky clients stay where they are."""
    stable = made.state.stable
    pairs = [pair for pair in made.weights if pair[1] > 0]
    del present
    return tuple(sorted(pairs, key=lambda pair: pair[0] != stable))


def _evidence(verdict: Verdict | None) -> dict[str, Any]:
    """Return the numbers behind a decision, small enough to be kept for ever."""
    if verdict is None:
        return {}
    gates = verdict.comparison.gates if verdict.comparison is not None else ()
    return {
        "outcome": verdict.outcome.value,
        "reason": verdict.reason,
        "gates": [_gate(gate) for gate in gates],
    }


def _gate(gate: GateResult) -> dict[str, Any]:
    return {
        "gate": gate.gate,
        "outcome": gate.outcome.value,
        "candidate": round(gate.candidate, 6),
        "baseline": round(gate.baseline, 6),
        "candidate_count": gate.candidate_count,
        "baseline_count": gate.baseline_count,
        "harm": round(gate.harm, 4),
        "safety": round(gate.safety, 4),
    }


def _is_sticky(plane: Plane, name: str, held: Held) -> bool:
    with plane.store.read() as reading:
        release = reading.release(name, held.state.candidate)
    return release is not None and release.spec.route.sticky is not None


def _policy(plane: Plane, name: str, held: Held | None) -> RolloutSpec | None:
    if held is None:
        return None
    with plane.store.read() as reading:
        release = reading.release(name, held.state.candidate)
    return release.spec.rollout if release is not None else None


def since(held: Held, now: datetime) -> float:
    """Return how long a rollout has stood in its present phase, in seconds."""
    return max(0.0, (now - held.state.phase_since).total_seconds())
