"""From evidence to gate results: outcome, numbers, and how many more requests a decision needs."""

import math
from dataclasses import dataclass, replace

from prometheus_ai.analysis.accuracy import AccuracyState, log_not_worse, log_worse
from prometheus_ai.analysis.exact import clopper_pearson
from prometheus_ai.analysis.means import SAMPLES_MIN, MeanState
from prometheus_ai.analysis.outputs import FIRST_LOOK, OutputState
from prometheus_ai.analysis.rate import log_above, log_below, trials_to_prove_below
from prometheus_ai.analysis.ratio import (
    LOG_HARM_WEIGHTS,
    LOG_SAFE_WEIGHTS,
    RatioState,
    harm_ratios,
    log_harm,
    log_mixture,
    log_safety,
    safe_ratios,
)
from prometheus_ai.domain.evidence import GateResult, Outcome
from prometheus_ai.domain.policy import (
    AccuracyGate,
    AgreementGate,
    ErrorGate,
    MeanGate,
    OutputsGate,
    RatioGate,
)

_REQUESTS_MAX = 1e9


@dataclass(frozen=True, kw_only=True, slots=True)
class Bars:
    """How much evidence decides, as logarithms, and how fast requests arrive."""

    fail: float
    passing: float
    rate_per_s: float


def ratio_result(name: str, state: RatioState, gate: RatioGate, bars: Bars) -> GateResult:
    """Return what counts of errors, or of slow requests above one threshold, allow to say."""
    counts = state.total
    safety = log_safety(state)
    proven_rare = log_below(counts.a, counts.n, gate.negligible)
    needed = requests_to_decide(state, gate, bars)
    result = _proportion(name, (counts.a, counts.n), (counts.b, counts.m))
    detail = (
        f"{counts.a} of {counts.n} against {counts.b} of {counts.m};"
        f" up to {gate.tolerated:g} times as many are tolerated,"
        f" {gate.harmful:g} times as many must be ruled out"
    )
    return _decided(
        result, (log_harm(state), max(safety, proven_rare)), bars, needed=needed, detail=detail
    )


def ceiling_result(errors: tuple[int, int], gate: ErrorGate, bars: Bars) -> GateResult:
    """Return whether the error rate is proven to be above its ceiling; it never stands in the way of a PASS."""
    result = _proportion("ceiling", errors, (0, 0))
    log_e = log_above(*errors, gate.ceiling)
    return _decided(
        result, (log_e, bars.passing), bars, needed=None,
        detail=f"{errors[0]} of {errors[1]} failed; the ceiling is {gate.ceiling:.1%}",
    )  # fmt: skip


def alone_result(
    name: str, events: tuple[int, int], earlier: tuple[int, int], gate: RatioGate, bars: Bars
) -> GateResult:
    """Return how the candidate does without a concurrent baseline, against a bound from the earlier one.

    The bound is the harmful ratio times the upper end of the baseline's 99 % interval, so only a plain
    deterioration is called one: other hours bring other requests.
    """
    result = _proportion(name, events, earlier)
    upper = clopper_pearson(*earlier, 0.01)[1] if earlier[1] else 1.0
    bound = max(gate.harmful * upper, gate.negligible)
    log_e = log_above(*events, bound) if bound < 1 else 0.0
    return _decided(
        result, (log_e, bars.passing), bars, needed=None,
        detail=f"{events[0]} of {events[1]} while alone; above {bound:.2%} is harm",
    )  # fmt: skip


def accuracy_result(state: AccuracyState, gate: AccuracyGate, bars: Bars) -> GateResult:
    """Return what labels allow to say of wrong answers."""
    counts = state.total
    result = _proportion("accuracy", (counts.a, counts.n), (counts.b, counts.m))
    detail = (
        f"{counts.a} of {counts.n} labelled answers are wrong, against {counts.b} of {counts.m};"
        f" {gate.tolerated:.1%} more are tolerated"
    )
    decided = _decided(
        result, (log_worse(state), log_not_worse(state)), bars, needed=None, detail=detail
    )
    return _with_gating(decided, gate.required or decided.outcome is not Outcome.INSUFFICIENT)


def agreement_result(compared: int, disagreed: int, gate: AgreementGate, bars: Bars) -> GateResult:
    """Return what compared shadow answers allow to say."""
    result = _proportion("agreement", (disagreed, compared), (0, 0))
    evidence = (
        log_above(disagreed, compared, gate.tolerated),
        log_below(disagreed, compared, gate.harmful),
    )
    rate = (disagreed + 0.5) / (compared + 1)
    total = trials_to_prove_below(gate.harmful, rate, bars.passing)
    return _decided(
        result, evidence, bars,
        needed=None if total is None else max(1, total - compared),
        detail=f"{disagreed} of {compared} answers differ from the user's ({gate.compare});"
        f" {gate.tolerated:.1%} is tolerated",
    )  # fmt: skip


def outputs_result(state: OutputState, gate: OutputsGate, bars: Bars) -> GateResult:
    """Return whether the two give other answers: significantly, and by enough to matter."""
    ours = sum(count for _, count in state.candidate)
    theirs = sum(count for _, count in state.baseline)
    is_far = state.stability_index >= gate.distance
    log_e = -math.log(max(state.p_adjusted, 1e-300)) if is_far else 0.0
    looked = state.looks > 0
    result = GateResult(
        gate="outputs", outcome=Outcome.INSUFFICIENT,
        candidate=state.stability_index, candidate_low=0.0, candidate_high=state.stability_index,
        baseline=0.0, candidate_count=ours, baseline_count=theirs, harm=0.0, safety=0.0,
        requests_to_decide=None, decide_in_s=None,
    )  # fmt: skip
    return _decided(
        result, (log_e, bars.passing if looked and not is_far else 0.0), bars,
        needed=None if looked else max(1, FIRST_LOOK - ours),
        detail=f"distance {state.stability_index:.3f} over {ours} and {theirs} answers;"
        f" {gate.distance:g} fails",
    )  # fmt: skip


def mean_result(state: MeanState, gate: MeanGate, bars: Bars) -> GateResult:
    """Return what means allow to say."""
    ours, theirs = state.candidate, state.baseline
    half = 1.96 * math.sqrt(ours.variance / ours.count) if ours.count else 0.0
    result = GateResult(
        gate=gate.name, outcome=Outcome.INSUFFICIENT, candidate=ours.mean,
        candidate_low=ours.mean - half, candidate_high=ours.mean + half, baseline=theirs.mean,
        candidate_count=ours.count, baseline_count=theirs.count, harm=0.0, safety=0.0,
        requests_to_decide=None, decide_in_s=None,
    )  # fmt: skip
    missing = SAMPLES_MIN - ours.count
    return _decided(
        result, (state.log_harm, state.log_safety), bars, needed=missing if missing > 0 else None,
        detail=f"mean {ours.mean:.4g} of {ours.count} against {theirs.mean:.4g} of {theirs.count};"
        f" {gate.tolerated:.0%} {gate.worse} is tolerated",
    )  # fmt: skip


def requests_to_decide(state: RatioState, gate: RatioGate, bars: Bars) -> int | None:
    """Return how many more candidate requests it takes if rates and shares stay as they are."""
    counts = state.total
    if counts.n == 0 or counts.m == 0:
        return None
    share = counts.n / (counts.n + counts.m)
    ours = (counts.a + 0.5) / (counts.n + 1)
    theirs = (counts.b + 0.5) / (counts.m + 1)
    found = [
        _soonest(state.whole, LOG_HARM_WEIGHTS, harm_ratios(gate.tolerated),
                 bars.fail, _growth(ours, theirs, share, gate.tolerated)),
        _soonest(state.safe, LOG_SAFE_WEIGHTS, safe_ratios(gate.harmful),
                 bars.passing, _growth(ours, theirs, share, gate.harmful)),
    ]  # fmt: skip
    total = trials_to_prove_below(gate.negligible, ours, bars.passing)
    if total is not None:
        found.append(max(1.0, float(total - counts.n)))
    fewest = min((value for value in found if value is not None), default=None)
    return None if fewest is None else math.ceil(fewest)


def requests_to_see(
    baseline_rate: float, candidate_rate: float, share: float, gate: RatioGate, bars: Bars
) -> int | None:
    """Return how many candidate requests a change of rate takes to be seen, before there is any evidence."""
    fresh = RatioState()
    needed = _soonest(
        fresh.whole, LOG_HARM_WEIGHTS, harm_ratios(gate.tolerated),
        bars.fail, _growth(candidate_rate, baseline_rate, share, gate.tolerated),
    )  # fmt: skip
    return None if needed is None else math.ceil(needed)


def requests_to_clear(
    baseline_rate: float, share: float, gate: RatioGate, bars: Bars
) -> int | None:
    """Return how many candidate requests it takes to pass a candidate that is as good as the baseline."""
    needed = _soonest(
        RatioState().safe, LOG_SAFE_WEIGHTS, safe_ratios(gate.harmful),
        bars.passing, _growth(baseline_rate, baseline_rate, share, gate.harmful),
    )  # fmt: skip
    rare = trials_to_prove_below(gate.negligible, baseline_rate, bars.passing)
    fewest = min((float(value) for value in (needed, rare) if value is not None), default=None)
    return None if fewest is None else math.ceil(fewest)


def _growth(
    ours: float, theirs: float, share: float, null: float
) -> tuple[float, float, float, float]:
    """Return what expected evidence per candidate request depends on."""
    return (ours, theirs * (1 - share) / share, share, null)


def _soonest(
    logs: tuple[float, ...],
    log_weights: tuple[float, ...],
    ratios: tuple[float, ...],
    bar: float,
    growth: tuple[float, float, float, float],
) -> float | None:
    ours, theirs, share, null = growth
    steps = tuple(
        ours * math.log(ratio / null)
        - (ours + theirs) * math.log((ratio * share + 1 - share) / (null * share + 1 - share))
        for ratio in ratios
    )
    if max(steps) <= 0:
        return None

    def is_enough(requests: float) -> bool:
        later = tuple(log_e + step * requests for log_e, step in zip(logs, steps, strict=True))
        return log_mixture(later, log_weights) >= bar

    high = 64.0
    while not is_enough(high):
        high *= 2
        if high > _REQUESTS_MAX:
            return None
    low = 0.0 if high <= 64 else high / 2
    while high - low > max(1.0, low * 0.02):
        middle = (low + high) / 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _proportion(name: str, ours: tuple[int, int], theirs: tuple[int, int]) -> GateResult:
    low, high = clopper_pearson(*ours)
    return GateResult(
        gate=name, outcome=Outcome.INSUFFICIENT,
        candidate=ours[0] / ours[1] if ours[1] else 0.0, candidate_low=low, candidate_high=high,
        baseline=theirs[0] / theirs[1] if theirs[1] else 0.0,
        candidate_count=ours[1], baseline_count=theirs[1], harm=0.0, safety=0.0,
        requests_to_decide=None, decide_in_s=None,
    )  # fmt: skip


def _decided(
    result: GateResult,
    evidence: tuple[float, float],
    bars: Bars,
    *,
    needed: int | None,
    detail: str,
) -> GateResult:
    harm, safety = evidence
    if harm >= bars.fail:
        outcome = Outcome.FAIL
    elif safety >= bars.passing:
        outcome = Outcome.PASS
    else:
        outcome = Outcome.INSUFFICIENT
    is_open = outcome is Outcome.INSUFFICIENT and needed is not None
    return GateResult(
        gate=result.gate, outcome=outcome, candidate=result.candidate,
        candidate_low=result.candidate_low, candidate_high=result.candidate_high,
        baseline=result.baseline, candidate_count=result.candidate_count,
        baseline_count=result.baseline_count,
        harm=round(max(0.0, harm / bars.fail), 4), safety=round(max(0.0, safety / bars.passing), 4),
        requests_to_decide=needed if is_open else None,
        decide_in_s=needed / bars.rate_per_s if is_open and needed and bars.rate_per_s else None,
        detail=detail,
    )  # fmt: skip


def _with_gating(result: GateResult, is_gating: bool) -> GateResult:
    return result if is_gating == result.is_gating else replace(result, is_gating=is_gating)
