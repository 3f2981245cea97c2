"""Everything known of a candidate: one state that intervals are added to, and the comparison read from it."""

import math
from dataclasses import dataclass, field, replace
from datetime import datetime

from prometheus_ai.analysis.accuracy import AccuracyState, observe_labels
from prometheus_ai.analysis.blame import add_tallies, attribute
from prometheus_ai.analysis.means import MeanState, observe_means
from prometheus_ai.analysis.outputs import OutputState, observe_outputs
from prometheus_ai.analysis.ratio import Counts, RatioState, observe_counts, restart_step
from prometheus_ai.analysis.results import (
    Bars,
    accuracy_result,
    agreement_result,
    alone_result,
    ceiling_result,
    mean_result,
    outputs_result,
    ratio_result,
)
from prometheus_ai.analysis.sharing import ShareState, observe_share, share_mismatch
from prometheus_ai.analysis.slowness import (
    P99_SAMPLES_MIN,
    count_slower,
    edge_ms,
    slow_levels,
)
from prometheus_ai.analysis.together import (
    TogetherState,
    blame_together,
    fails_together,
    watch_both,
)
from prometheus_ai.analysis.tripwire import TripState, tripped, watch
from prometheus_ai.domain.evidence import (
    Arm,
    Comparison,
    FaultOwner,
    GateResult,
    Interval,
    Moments,
    Outcome,
    ReplicaTally,
)
from prometheus_ai.domain.policy import AgreementGate, GatesSpec, MeanGate
from prometheus_ai.domain.window import Histogram

_ALPHA_SHARES = {"errors": 0.4, "latency": 0.2, "accuracy": 0.2}
"""Of alpha; all other gates share what is left."""
_RECENT_S = 60.0
"""Memory of the request rate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceState:
    """All evidence about one candidate. Its size never grows, and it round-trips through JSON."""

    candidate: str
    baseline: str
    levels: tuple[int, ...] = ()
    """Latency buckets whose upper edges are the thresholds of slow; empty until the baseline is known."""
    learning: Histogram = field(default_factory=Histogram)
    """The baseline's latency, until the thresholds are fixed."""
    errors: RatioState = field(default_factory=RatioState)
    slow: tuple[RatioState, ...] = ()
    accuracy: AccuracyState = field(default_factory=AccuracyState)
    compared: int = 0
    disagreed: int = 0
    outputs: OutputState = field(default_factory=OutputState)
    means: tuple[MeanState, ...] = ()
    alone: Counts = field(default_factory=Counts)
    """Requests and errors while the candidate had all traffic."""
    alone_slow: tuple[int, ...] = ()
    share: ShareState = field(default_factory=ShareState)
    trip: TripState = field(default_factory=TripState)
    together: TogetherState = field(default_factory=TogetherState)
    replicas: tuple[ReplicaTally, ...] = ()
    baseline_replicas: tuple[ReplicaTally, ...] = ()
    excluded: tuple[str, ...] = ()
    """Replicas that were found at fault and no longer count."""
    step_requests: int = 0
    recent_requests: float = 0.0
    recent_s: float = 0.0
    last: tuple[Arm, Arm] = (Arm(), Arm())


def begin_evidence(
    candidate: str, baseline: str, gates: GatesSpec, history: Arm | None = None
) -> EvidenceState:
    """Return the empty evidence; ``history`` is what the baseline did in the hour before."""
    known = history or Arm()
    state = EvidenceState(
        candidate=candidate,
        baseline=baseline,
        means=tuple(MeanState(name=gate.name) for gate in gates.means),
        trip=TripState(baseline_requests=known.requests, baseline_errors=known.errors),
        together=TogetherState(usual_requests=known.requests, usual_errors=known.errors),
    )
    return _learn(state, known.latency_s, gates)


def observe(state: EvidenceState, interval: Interval, gates: GatesSpec) -> EvidenceState:
    """Return the evidence after one more interval."""
    state = replace(
        state,
        trip=watch(state.trip, interval, gates.tripwire),
        together=watch_both(state.together, interval),
        last=(_without_latency(interval.candidate), _without_latency(interval.baseline)),
    )
    if interval.unfit:
        return state
    state = replace(
        state,
        replicas=add_tallies(state.replicas, interval.candidate.replicas),
        baseline_replicas=add_tallies(state.baseline_replicas, interval.baseline.replicas),
    )
    if fails_together(state.together):
        return state
    ours = _without(interval.candidate, state.excluded)
    theirs = _without(interval.baseline, state.excluded)
    state = _observe_requests(state, ours, theirs, gates)
    span_s = (interval.end - interval.start).total_seconds()
    fade = math.exp(-span_s / _RECENT_S)
    return replace(
        _observe_answers(state, interval, gates),
        share=state.share if interval.is_replay else _observe_share(state.share, interval),
        step_requests=state.step_requests + ours.requests,
        recent_requests=state.recent_requests * fade + ours.requests,
        recent_s=state.recent_s * fade + span_s,
    )


def start_step(state: EvidenceState) -> EvidenceState:
    """Return the evidence at the start of a step: kept, but harm is also looked for from here on."""
    return replace(
        state,
        errors=restart_step(state.errors),
        slow=tuple(restart_step(level) for level in state.slow),
        step_requests=0,
    )


def exclude_replica(state: EvidenceState, replica_id: str) -> EvidenceState:
    """Return the evidence without one replica: the fault was its own.

    What failed until now cannot be told apart in counts of the whole release, so errors are counted afresh.
    """
    if replica_id in state.excluded:
        return state
    return replace(
        state,
        excluded=(*state.excluded, replica_id)[-16:],
        errors=RatioState(),
        alone=Counts(),
        alone_slow=(0,) * len(state.alone_slow),
        replicas=tuple(tally for tally in state.replicas if tally.id != replica_id),
    )


def compare(
    state: EvidenceState, gates: GatesSpec, now: datetime, *, is_sticky: bool = False
) -> Comparison:
    """Return what the evidence says, gate by gate."""
    counts = state.errors.total
    baseline_rate = (counts.b + state.trip.baseline_errors) / max(
        1, counts.m + state.trip.baseline_requests
    )
    blame = attribute(state.replicas, state.baseline_replicas, state.last, baseline_rate)
    shared = blame_together(state.together, state.replicas, state.baseline_replicas)
    if shared is not None and blame.owner is not FaultOwner.HOST:
        blame = shared
    return Comparison(
        candidate=state.candidate,
        baseline=state.baseline,
        gates=_results(state, gates),
        tripped=tripped(state.trip, gates.tripwire, now, is_shared=shared is not None),
        invalid=share_mismatch(state.share, is_sticky=is_sticky),
        attribution=blame,
        candidate_requests=counts.n + state.alone.n,
        step_requests=state.step_requests,
        rate_per_s=_rate(state),
    )


def bars_of(gates: GatesSpec, gate: str, rate_per_s: float = 0.0) -> Bars:
    """Return how much evidence a gate needs."""
    left = 1 - sum(_ALPHA_SHARES.values())
    share = _ALPHA_SHARES.get(gate, left / gates.minor_gates)
    return Bars(
        fail=-math.log(gates.alpha * share), passing=-math.log(gates.beta), rate_per_s=rate_per_s
    )


def _results(state: EvidenceState, gates: GatesSpec) -> tuple[GateResult, ...]:
    rate = _rate(state)
    counts = state.errors.total
    other = bars_of(gates, "other", rate)
    results = [
        ratio_result("errors", state.errors, gates.errors, bars_of(gates, "errors", rate)),
        _latency(state, gates, bars_of(gates, "latency", rate)),
        ceiling_result((counts.a + state.alone.a, counts.n + state.alone.n), gates.errors, other),
    ]
    if gates.accuracy is not None and (gates.accuracy.required or state.accuracy.total.n):
        bars = bars_of(gates, "accuracy", rate)
        results.append(accuracy_result(state.accuracy, gates.accuracy, bars))
    if state.compared:
        gate = gates.agreement or AgreementGate()
        found = agreement_result(state.compared, state.disagreed, gate, other)
        # Where nobody asked for it, it is shown and decides nothing.
        results.append(replace(found, is_gating=gates.agreement is not None))
    if gates.outputs is not None:
        results.append(outputs_result(state.outputs, gates.outputs, other))
    by_name = {mean.name: mean for mean in state.means}
    results += [mean_result(by_name[gate.name], gate, other) for gate in gates.means]
    if state.alone.n:
        results.append(_alone_errors(state, gates, other))
        if state.levels:
            results.append(_alone_slow(state, gates, other))
    return tuple(results)


def _latency(state: EvidenceState, gates: GatesSpec, bars: Bars) -> GateResult:
    """Join the thresholds: any may show harm, and all that are not far out must show safety."""
    if not state.slow:
        empty = ratio_result("latency", RatioState(), gates.latency, bars)
        return replace(
            empty,
            detail="learning what is slow: the baseline has answered"
            f" {state.learning.count} of {P99_SAMPLES_MIN} requests",
        )
    results = [ratio_result("latency", level, gates.latency, bars) for level in state.slow]
    # Evidence of a mean of e-processes, bounded from below by its largest part.
    harm = max(result.harm for result in results) - math.log(len(results)) / bars.fail
    worst = max(range(len(results)), key=lambda index: results[index].harm)
    needed = results[: max(1, len(results) - 1)]
    safety = min(result.safety for result in needed)
    if harm >= 1:
        outcome, shown = Outcome.FAIL, results[worst]
    elif safety >= 1:
        outcome, shown = Outcome.PASS, needed[-1]
    else:
        outcome = Outcome.INSUFFICIENT
        shown = min(needed, key=lambda result: result.safety)
    index = results.index(shown)
    return replace(
        shown,
        outcome=outcome,
        harm=round(max(0.0, harm), 4),
        safety=safety,
        detail=f"slower than {edge_ms(state.levels[index]):.3g} ms: {shown.detail}",
    )


def _alone_errors(state: EvidenceState, gates: GatesSpec, bars: Bars) -> GateResult:
    counts = state.errors.total
    return alone_result(
        "errors_alone", (state.alone.a, state.alone.n), (counts.b, counts.m), gates.errors, bars
    )


def _alone_slow(state: EvidenceState, gates: GatesSpec, bars: Bars) -> GateResult:
    events, earlier = state.alone_slow[0], state.slow[0].total
    return alone_result(
        "latency_alone", (events, state.alone.n), (earlier.b, earlier.m), gates.latency, bars
    )


def _observe_requests(
    state: EvidenceState, ours: Arm, theirs: Arm, gates: GatesSpec
) -> EvidenceState:
    if not state.levels:
        state = _learn(state, theirs.latency_s, gates)
        slow = state.slow
        alone_slow = state.alone_slow
    else:
        ours_slow = count_slower(ours.latency_s, state.levels)
        theirs_slow = count_slower(theirs.latency_s, state.levels)
        slow, alone_slow = state.slow, state.alone_slow
        if theirs.requests == 0:
            alone_slow = tuple(
                known + more for known, more in zip(alone_slow, ours_slow, strict=True)
            )
        else:
            n, m = ours.latency_s.count, theirs.latency_s.count
            slow = tuple(
                observe_counts(
                    level, Counts(n=n, a=a, m=m, b=b), gates.latency.tolerated,
                    gates.latency.harmful,
                )
                for level, a, b in zip(state.slow, ours_slow, theirs_slow, strict=True)
            )  # fmt: skip
    if theirs.requests == 0:
        alone = state.alone.plus(Counts(n=ours.requests, a=ours.errors))
        return replace(state, alone=alone, slow=slow, alone_slow=alone_slow)
    counts = Counts(n=ours.requests, a=ours.errors, m=theirs.requests, b=theirs.errors)
    errors = observe_counts(state.errors, counts, gates.errors.tolerated, gates.errors.harmful)
    return replace(state, errors=errors, slow=slow, alone_slow=alone_slow)


def _observe_answers(state: EvidenceState, interval: Interval, gates: GatesSpec) -> EvidenceState:
    ours, theirs = interval.candidate, interval.baseline
    accuracy = state.accuracy
    if gates.accuracy is not None and (ours.labelled or theirs.labelled):
        block = Counts(n=ours.labelled, a=ours.wrong, m=theirs.labelled, b=theirs.wrong)
        accuracy = observe_labels(accuracy, block, gates.accuracy.tolerated, gates.accuracy.harmful)
    outputs = state.outputs
    if gates.outputs is not None and (ours.outputs or theirs.outputs):
        outputs = observe_outputs(outputs, dict(ours.outputs), dict(theirs.outputs))
    by_name = {gate.name: gate for gate in gates.means}
    our_values, their_values = dict(ours.quantities), dict(theirs.quantities)
    return replace(
        state,
        accuracy=accuracy,
        compared=state.compared + interval.compared,
        disagreed=state.disagreed + interval.disagreed,
        outputs=outputs,
        means=tuple(
            observe_means(
                mean,
                our_values.get(mean.name, Moments()),
                their_values.get(mean.name, Moments()),
                _bounds(by_name[mean.name]),
            )
            for mean in state.means
        ),
    )


def _observe_share(share: ShareState, interval: Interval) -> ShareState:
    return observe_share(
        share, interval.weight, interval.candidate.requests, interval.baseline.requests
    )


def _bounds(gate: MeanGate) -> tuple[float, float, int]:
    return (gate.tolerated, gate.harmful, 1 if gate.worse == "higher" else -1)


def _learn(state: EvidenceState, latency: Histogram, gates: GatesSpec) -> EvidenceState:
    """Fix the thresholds of slow once the baseline has shown enough; later requests are counted by them."""
    known = state.learning.merge(latency)
    if known.count < P99_SAMPLES_MIN:
        return replace(state, learning=known)
    gate = gates.latency
    slo_s = None if gate.slo_ms is None else gate.slo_ms / 1000
    levels = slow_levels(known, slo_s, gate.floor_ms / 1000)
    return replace(
        state,
        levels=levels,
        learning=Histogram(),
        slow=(RatioState(),) * len(levels),
        alone_slow=(0,) * len(levels),
    )


def _without(arm: Arm, excluded: tuple[str, ...]) -> Arm:
    """Leave out replicas at fault; their share of the latency histogram stays, as it cannot be told apart."""
    gone = [tally for tally in arm.replicas if tally.id in excluded]
    if not gone:
        return arm
    return replace(
        arm,
        requests=max(0, arm.requests - sum(tally.requests for tally in gone)),
        errors=max(0, arm.errors - sum(tally.errors for tally in gone)),
        replicas=tuple(tally for tally in arm.replicas if tally.id not in excluded),
    )


def _without_latency(arm: Arm) -> Arm:
    return replace(arm, latency_s=Histogram(), replicas=(), outputs=(), quantities=())


def _rate(state: EvidenceState) -> float:
    return state.recent_requests / state.recent_s if state.recent_s > 0 else 0.0
