"""Does the production autoscaler beat Knative's and the Kubernetes HPA's algorithm, and fixed capacity?

On a virtual clock, all on the same traces, services and seeds. For each of two services (one request of 100 ms
at a time; batches of up to 32) and four kinds of traffic: requests that miss the objective, and replica-seconds.
Budgets: fewer misses than either at no more replica-seconds, over all traces; on the diurnal trace at most
0.55 of the replica-seconds of a fleet sized for the peak, at the same p95 within 20 %.

    python -m bench.questions.simulated_scaling [--seeds 3]
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

from bench.harness.card import publish
from prometheus_ai.domain.policy import ScalingSpec
from prometheus_ai.simulate import (
    Fixed,
    Hpa,
    Knative,
    Limits,
    Objective,
    Ours,
    Row,
    Scaler,
    ServiceProfile,
    Trace,
    bursts,
    compare_scalers,
    diurnal,
    on_off,
    poisson,
    production,
    simulate,
    summarise,
)

REPLICAS_MAX = 200
DIURNAL_BUDGET = 0.55
P95_BAND = 0.20
SERVICES = {
    "serial-100ms": (ServiceProfile(curve=((1, 0.1),), start_s=10.0), 0.5, 20.0),
    "batched-32": (ServiceProfile(curve=((1, 0.02), (32, 0.1)), rows_max=32, start_s=20.0), 0.2, 800.0),
}  # fmt: skip


def traces(rate: float, seed: int) -> list[Trace]:
    """Return half an hour of each kind of traffic."""
    return [
        poisson(rate, 1800, seed),
        diurnal(rate * 0.1, rate * 2, 1800, seed),
        bursts(rate * 0.5, 5, 1800, 300, seed),
        on_off(rate, 120, 240, 1800, seed),
    ]


def scalers(profile: ServiceProfile, slo_s: float) -> dict[str, Callable[[], Scaler]]:
    """Return the scalers by name; all are told how many requests a replica may hold within the objective."""
    held = profile.concurrency(slo_s)
    policy = ScalingSpec(min=1, max=REPLICAS_MAX)
    return {
        "ours": lambda: production(policy, profile, slo_s),
        "ours, rate unknown": lambda: production(policy, profile, slo_s, knows_rate=False),
        "knative": lambda: Knative(concurrency=held, replicas_max=REPLICAS_MAX),
        "hpa": lambda: Hpa(concurrency=held, replicas_max=REPLICAS_MAX),
    }  # fmt: skip


def against_peers(seeds: int) -> list[dict[str, Any]]:
    """Run everything on everything."""
    found = []
    for service, (profile, slo_s, rate) in SERVICES.items():
        for seed in range(seeds):
            for trace in traces(rate, seed):
                makers = scalers(profile, slo_s)
                rows = compare_scalers(
                    trace, profile, {name: make() for name, make in makers.items()},
                    Objective(slo_s=slo_s), Limits(replicas=3, seed=seed),
                )  # fmt: skip
                found += [{"service": service, "seed": seed, **_plain(row)} for row in rows]
    return found


def totals(found: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Add up by scaler."""
    names = list(dict.fromkeys(row["scaler"] for row in found))
    return {
        name: {
            "misses": sum(row["misses"] for row in found if row["scaler"] == name),
            "requests": sum(row["requests"] for row in found if row["scaler"] == name),
            "replica_s": round(sum(row["replica_s"] for row in found if row["scaler"] == name)),
        }
        for name in names
    }


def diurnal_against_peak(seed: int) -> dict[str, Any]:
    """Compare with the smallest fixed fleet that meets the objective at the peak."""
    profile, slo_s, _ = SERVICES["serial-100ms"]
    trace = diurnal(4.0, 80.0, 3600, seed)
    objective = Objective(slo_s=slo_s)
    peak_rate = 80.0
    fixed = round(peak_rate / profile.rate_within(slo_s) / 0.7 + 0.5)
    base = summarise(
        trace, "fixed", simulate(trace, profile, Fixed(replicas=fixed), Limits(replicas=fixed)),
        objective,
    )  # fmt: skip
    # Less held by each replica than the objective allows: what is asked for is the fixed fleet's own p95.
    policy = ScalingSpec(max=REPLICAS_MAX, concurrency=1.5, utilisation=0.66)
    scaler = Ours(
        policy=policy, start_s=profile.start_s, concurrency=1.5,
        rate_per_replica=profile.rate_within(slo_s),
    )  # fmt: skip
    ours = summarise(trace, "ours", simulate(trace, profile, scaler, Limits(replicas=1)), objective)
    return {
        "fixed_replicas": fixed,
        "fixed": _plain(base),
        "ours": _plain(ours),
        "replica_s_ratio": round(ours.replica_s / base.replica_s, 3),
        "p95_ratio": round(ours.p95_ms / base.p95_ms, 3),
    }


def speed() -> float:
    """Return the CPU seconds of one simulated hour at 100 requests a second."""
    profile, slo_s, _ = SERVICES["serial-100ms"]
    trace = poisson(100.0, 3600, 0)
    start_s = time.process_time()
    simulate(trace, profile, scalers(profile, slo_s)["ours"](), Limits(replicas=14))
    return round(time.process_time() - start_s, 2)


def _plain(row: Row) -> dict[str, Any]:
    return {
        "trace": row.trace, "scaler": row.scaler, "requests": row.requests, "misses": row.misses,
        "p95_ms": round(row.p95_ms, 1), "p99_ms": round(row.p99_ms, 1), "starts": row.starts,
        "replica_s": round(row.replica_s), "replicas_max": row.replicas_max,
    }  # fmt: skip


def main() -> None:
    """Answer the question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    found = against_peers(seeds)
    total = totals(found)
    day = diurnal_against_peak(1)
    ours = total["ours"]
    beaten = {
        peer: ours["misses"] < total[peer]["misses"]
        and ours["replica_s"] <= total[peer]["replica_s"]
        for peer in ("knative", "hpa")
    }
    publish(
        "simulated_scaling",
        {
            "must": {
                "beats_knative": beaten["knative"],
                "beats_hpa": beaten["hpa"],
                "diurnal_ratio_at_most_0.55": day["replica_s_ratio"] <= DIURNAL_BUDGET,
                "diurnal_p95_within_20_percent": abs(day["p95_ratio"] - 1) <= P95_BAND,
            },
            "totals": total,
            "cpu_s_of_an_hour_at_100_per_s": speed(),
            "diurnal": day,
            "rows": found,
        },
    )


if __name__ == "__main__":
    main()
