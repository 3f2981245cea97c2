"""Traffic and contenders as people write them: ``diurnal:5:80`` and ``fixed:4``."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.policy import ScalingSpec
from prometheus_ai.simulate.fleet import Scaler
from prometheus_ai.simulate.peers import Hpa, Knative
from prometheus_ai.simulate.scalers import Fixed, production
from prometheus_ai.simulate.service import ServiceProfile
from prometheus_ai.simulate.trace import ARRIVALS_MAX, Trace, bursts, diurnal, on_off, poisson

TRAFFIC_FORMS = "poisson:RATE, diurnal:LOW:HIGH, bursts:RATE:FACTOR:EVERY_S, on-off:RATE:ON_S:OFF_S"
_Maker = Callable[[list[float], float, int], Trace]
_TRAFFIC: dict[str, tuple[int, _Maker]] = {
    "poisson": (1, lambda said, span, seed: poisson(said[0], span, seed)),
    "diurnal": (2, lambda said, span, seed: diurnal(said[0], said[1], span, seed)),
    "bursts": (3, lambda said, span, seed: bursts(said[0], said[1], span, said[2], seed)),
    "on-off": (3, lambda said, span, seed: on_off(said[0], said[1], said[2], span, seed)),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What every contender is told."""

    profile: ServiceProfile
    slo_s: float
    replicas_max: int


def traffic(text: str, duration_s: float, seed: int) -> Trace:
    """Return synthetic traffic from its description, such as ``poisson:50``.

    Raises:
        InvalidInput: it is none of the known forms, or too much.
    """
    kind, _, rest = text.partition(":")
    if kind not in _TRAFFIC:
        raise InvalidInput(f"{text!r} is no traffic", hint=f"use {TRAFFIC_FORMS}")
    count, make = _TRAFFIC[kind]
    try:
        said = [float(part) for part in rest.split(":")]
    except ValueError:
        said = []
    if len(said) != count or min(said, default=-1) < 0:
        raise InvalidInput(
            f"{text!r} needs {count} numbers, not below 0", hint=f"use {TRAFFIC_FORMS}"
        )
    most = max(said[0], said[1]) if kind == "diurnal" else said[0] * max([1.0, *said[1:2]])
    if most * duration_s > ARRIVALS_MAX:
        raise InvalidInput(f"{text!r} for {duration_s:g} s is more than {ARRIVALS_MAX} requests")
    if kind != "poisson" and said[-1] <= 0 and kind != "diurnal":
        raise InvalidInput(f"{text!r}: the last number must be above 0", hint=TRAFFIC_FORMS)
    return make(said, duration_s, seed)


def contender(text: str, terms: Terms) -> Scaler | None:
    """Return a scaler by its name: ``knative``, ``hpa`` or ``fixed:N``; None for anything else.

    Raises:
        InvalidInput: the number of ``fixed`` is none.
    """
    held = terms.profile.concurrency(terms.slo_s)
    if text == "knative":
        return Knative(concurrency=held, replicas_max=terms.replicas_max)
    if text == "hpa":
        return Hpa(concurrency=held, replicas_max=terms.replicas_max)
    if text.startswith("fixed:"):
        number = text.removeprefix("fixed:")
        if not number.isdigit() or not 1 <= int(number) <= 1000:
            raise InvalidInput(f"{text!r}: write fixed:N with N from 1 to 1000")
        return Fixed(replicas=int(number))
    return None


def by_policy(policy: ScalingSpec | None, replicas: int, terms: Terms) -> Scaler:
    """Return what a spec's policy does; without a policy, as many replicas as it says."""
    if policy is None:
        return Fixed(replicas=replicas)
    return production(policy, terms.profile, terms.slo_s)
