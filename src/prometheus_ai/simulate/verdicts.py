"""How long a rollout of a spec would take to decide, at a traffic: good, bad and slow candidates."""

from dataclasses import dataclass, replace

from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.rollout import Ground, Room
from prometheus_ai.simulate.rollouts import Behaviour, RolledOut, Stage, simulate_rollout

RATE_MAX = 100.0
"""More traffic only decides faster; the simulation would take longer for it."""
LONGEST_S = 4 * 3600.0
_SIZE = Room(cpu=1.0, memory_bytes=1, gpu=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictTime:
    """One kind of candidate, and what became of it."""

    candidate: str
    outcome: str
    first_verdict_s: float | None
    took_s: float
    harmed: int
    """Requests that failed because the candidate got them."""
    reason: str


def verdict_times(
    policy: RolloutSpec, rate_per_s: float, latency_s: float, start_s: float
) -> tuple[VerdictTime, ...]:
    """Play the policy's rollout with candidates as good, broken, wrong now and then, and slow."""
    stable = Behaviour(error_rate=0.001, latency_s=max(latency_s, 0.001))
    candidates = {
        "as good": stable,
        "fails always": replace(stable, error_rate=1.0),
        "fails 3 %": replace(stable, error_rate=0.03),
        "twice as slow": replace(stable, latency_s=2 * stable.latency_s),
    }
    ground = Ground(
        stable_replicas=2, stable_size=_SIZE, candidate_size=_SIZE,
        free=Room(cpu=1000.0, memory_bytes=1000, gpu=0), start_s=start_s,
        rate_per_s=min(rate_per_s, RATE_MAX),
    )  # fmt: skip
    return tuple(
        _told(name, simulate_rollout(
            Stage(stable=stable, candidate=behaviour, ground=ground, longest_s=LONGEST_S), policy
        ))
        for name, behaviour in candidates.items()
    )  # fmt: skip


def _told(name: str, ran: RolledOut) -> VerdictTime:
    return VerdictTime(
        candidate=name, outcome=ran.phase.value if ran.phase is not None else "undecided",
        first_verdict_s=ran.first_verdict_s, took_s=ran.took_s, harmed=ran.harmed,
        reason=ran.reason,
    )  # fmt: skip
