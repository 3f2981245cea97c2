"""A simulation as people ask for it: traffic, specs and contenders in, rows and verdict times out.

It needs no control plane: everything is computed where it is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.policy import ScalingSpec
from prometheus_ai.domain.spec import Spec
from prometheus_ai.scaling import objective_s
from prometheus_ai.simulate import (
    Limits,
    Objective,
    Row,
    Scaler,
    ServiceProfile,
    Terms,
    Trace,
    VerdictTime,
    by_policy,
    compare_scalers,
    contender,
    parse_trace,
    recorded_spans,
    traffic,
    verdict_times,
)

DEFAULT_CURVE = ((1, 0.02), (32, 0.1))
REPLICAS_MAX = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """Who takes part: a spec, or a name such as ``knative``, ``hpa`` and ``fixed:4``."""

    label: str
    spec: Spec | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What to simulate. Exactly one of the three kinds of traffic is given."""

    contenders: tuple[Contender, ...]
    trace_lines: Sequence[str] | None = None
    traffic: str | None = None
    recording: Mapping[str, Any] | None = None
    """A recording as the API gives it; its measured replica is used unless ``curve`` says otherwise."""
    curve: tuple[tuple[int, float], ...] = ()
    start_s: float | None = None
    duration_s: float = 1800.0
    slo_s: float | None = None
    price_per_hour: float = 1.0
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """What came of it."""

    trace: str
    requests: int
    duration_s: float
    slo_s: float
    curve: tuple[tuple[int, float], ...]
    start_s: float
    assumed: tuple[str, ...]
    """What was not measured, and what stands in for it."""
    rows: tuple[Row, ...]
    verdicts: Mapping[str, tuple[VerdictTime, ...]] = field(default_factory=dict)
    """By spec: how long its rollout would take to decide at this traffic."""


def run_simulation(asked: Asked) -> Simulated:
    """Simulate every contender on the same traffic with the same seed.

    Raises:
        InvalidInput: traffic, curve or a contender is not understood.
    """
    trace = _trace(asked)
    profile, assumed = _profile(asked)
    slo_s = asked.slo_s or objective_s(profile.curve, None)
    contenders = _told_apart(asked.contenders)
    fixed = [one.spec.replicas for one in contenders if one.spec and one.spec.scaling is None]
    rows: list[Row] = []
    for one in contenders:
        batching = one.spec.batching if one.spec is not None else None
        own = replace(profile, rows_max=batching.rows_max) if batching is not None else profile
        terms = Terms(profile=own, slo_s=slo_s, replicas_max=_most(one.spec))
        rows += compare_scalers(
            trace, own, {one.label: _scaler(one, terms)},
            Objective(slo_s=slo_s, price_per_hour=asked.price_per_hour),
            Limits(replicas=_first(one, max([1, *fixed])), seed=asked.seed),
        )  # fmt: skip
    verdicts = {
        one.label: verdict_times(
            one.spec.rollout, trace.rate_per_s, profile.curve[0][1], profile.start_s
        )
        for one in contenders
        if one.spec is not None and one.spec.rollout is not None and trace.rate_per_s > 0
    }
    return Simulated(
        trace=trace.name, requests=len(trace.arrivals), duration_s=round(trace.duration_s, 3),
        slo_s=slo_s, curve=profile.curve, start_s=profile.start_s, assumed=assumed, rows=tuple(rows),
        verdicts=verdicts,
    )  # fmt: skip


def _told_apart(contenders: Sequence[Contender]) -> tuple[Contender, ...]:
    """Number specs that are named like one before, as in different folders; a name counts once."""
    found: dict[str, Contender] = {}
    for one in contenders:
        if one.spec is None and one.label in found:
            continue
        label, number = one.label, 1
        while label in found:
            number += 1
            label = f"{one.label} ({number})"
        found[label] = replace(one, label=label)
    return tuple(found.values())


def _trace(asked: Asked) -> Trace:
    if asked.trace_lines is not None:
        found = parse_trace(asked.trace_lines)
    elif asked.recording is not None:
        found = recorded_spans(asked.recording["windows"], seed=asked.seed)
    else:
        assert asked.traffic is not None, "the caller checked that there is traffic"
        found = traffic(asked.traffic, asked.duration_s, asked.seed)
    if not found.arrivals:
        raise InvalidInput(
            f"the traffic {found.name!r} holds no request",
            hint="record some first, or use --traffic poisson:50",
        )
    return found


def _profile(asked: Asked) -> tuple[ServiceProfile, tuple[str, ...]]:
    """Return the replica to simulate, and what of it is assumed."""
    assumed = []
    recording = asked.recording or {}
    curve = asked.curve or tuple((int(rows), float(s)) for rows, s in recording.get("curve", ()))
    if not curve:
        curve = DEFAULT_CURVE
        assumed.append("no service times were measured: 20 ms for one row, 100 ms for 32 stand in")
    specs = [one.spec for one in asked.contenders if one.spec is not None]
    rows_max = specs[0].batching.rows_max if specs else curve[-1][0]
    start_s = asked.start_s or recording.get("start_s")
    if start_s is None:
        start_s = 5.0
        assumed.append("no start was measured: 5 s stand in")
    overhead_s = max(0.0, float(recording.get("overhead_s", 0.0)))
    return ServiceProfile(
        curve=curve, rows_max=rows_max, start_s=float(start_s), overhead_s=overhead_s
    ), tuple(assumed)


def _scaler(one: Contender, terms: Terms) -> Scaler:
    if one.spec is not None:
        return by_policy(one.spec.scaling, one.spec.replicas, terms)
    found = contender(one.label, terms)
    if found is None:
        raise InvalidInput(
            f"{one.label!r} is neither a spec file nor a known contender",
            hint="use a file, knative, hpa or fixed:N",
        )
    return found


def _most(spec: Spec | None) -> int:
    policy: ScalingSpec | None = spec.scaling if spec is not None else None
    return policy.max if policy is not None else REPLICAS_MAX


def _first(one: Contender, replicas: int) -> int:
    """Return the replicas that run from the start: a fixed number is there at once."""
    if one.spec is None:
        is_fixed = one.label.startswith("fixed:")
        return int(one.label.removeprefix("fixed:")) if is_fixed else replicas
    return one.spec.replicas if one.spec.scaling is None else max(1, one.spec.scaling.min)
