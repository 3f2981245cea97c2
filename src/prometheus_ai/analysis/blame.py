"""Whose fault are the failures? Asked before a version is judged for them."""

from collections.abc import Iterable, Sequence

from prometheus_ai.analysis.exact import binomial_tail
from prometheus_ai.domain.evidence import Arm, Attribution, FaultOwner, ReplicaTally

REPLICAS_MAX = 64
_SURE = 1e-3
_FAILURES_MIN = 5
_REJECTED_SHARE = 0.05
_CLIENT_SHARE = 0.2


def add_tallies(
    known: Sequence[ReplicaTally], more: Iterable[ReplicaTally]
) -> tuple[ReplicaTally, ...]:
    """Return tallies by replica, added up; the ones seen longest ago go first when there are too many."""
    merged = {tally.id: tally for tally in known}
    for tally in more:
        before = merged.pop(tally.id, ReplicaTally(id=tally.id, host=tally.host))
        merged[tally.id] = ReplicaTally(
            id=tally.id,
            host=tally.host,
            requests=before.requests + tally.requests,
            errors=before.errors + tally.errors,
        )
    return tuple(merged.values())[-REPLICAS_MAX:]


def attribute(
    candidate: Sequence[ReplicaTally],
    baseline: Sequence[ReplicaTally],
    recent: tuple[Arm, Arm],
    baseline_rate: float,
) -> Attribution:
    """Return who is to blame for the candidate's failures; ``recent`` is both sides' newest interval."""
    ours, theirs = recent
    offered = ours.requests + ours.rejected
    if offered and ours.rejected / offered > _REJECTED_SHARE:
        return Attribution(
            owner=FaultOwner.GATEWAY,
            detail=f"{ours.rejected} of {offered} requests were turned away before a replica saw them:"
            " too little capacity, not a fault of the version",
        )
    on_host = _one_host(candidate, baseline)
    if on_host is not None:
        return on_host
    one = _one_replica(candidate, baseline_rate)
    if one is not None:
        return one
    if _mostly_client(ours) and _mostly_client(theirs):
        return Attribution(
            owner=FaultOwner.CLIENT,
            detail=f"both versions refuse as malformed: {ours.client_errors} of {ours.requests} and"
            f" {theirs.client_errors} of {theirs.requests} requests",
        )
    if any(tally.errors for tally in candidate) or ours.errors:
        return Attribution(owner=FaultOwner.VERSION, detail="failures are spread over its replicas")
    return Attribution()


def _one_replica(tallies: Sequence[ReplicaTally], baseline_rate: float) -> Attribution | None:
    busy = [tally for tally in tallies if tally.requests]
    errors = sum(tally.errors for tally in busy)
    requests = sum(tally.requests for tally in busy)
    if len(busy) < 2 or errors < _FAILURES_MIN:
        return None
    worst = max(busy, key=lambda tally: tally.errors / tally.requests)
    chance = binomial_tail(worst.errors, errors, worst.requests / requests) * len(busy)
    if worst.errors * 2 <= errors or chance > _SURE:
        return None
    if not _is_ordinary(errors - worst.errors, requests - worst.requests, baseline_rate):
        return None
    return Attribution(
        owner=FaultOwner.REPLICA,
        subject=worst.id,
        detail=f"{worst.errors} of {errors} failures come from {worst.id}, which answered"
        f" {worst.requests} of {requests} requests; the others are ordinary",
    )


def _one_host(
    candidate: Sequence[ReplicaTally], baseline: Sequence[ReplicaTally]
) -> Attribution | None:
    """Find a host on which both versions fail, while both are fine elsewhere."""
    hosts = {tally.host for tally in candidate if tally.host} & {
        tally.host for tally in baseline if tally.host
    }
    for host in sorted(hosts):
        if _is_bad_on(host, candidate) and _is_bad_on(host, baseline):
            return Attribution(
                owner=FaultOwner.HOST, subject=host,
                detail=f"both versions fail on host {host} and not elsewhere",
            )  # fmt: skip
    return None


def _is_bad_on(host: str, tallies: Sequence[ReplicaTally]) -> bool:
    here = [tally for tally in tallies if tally.host == host]
    errors = sum(tally.errors for tally in tallies)
    requests = sum(tally.requests for tally in tallies)
    here_errors = sum(tally.errors for tally in here)
    here_requests = sum(tally.requests for tally in here)
    if errors < _FAILURES_MIN or here_requests in {0, requests}:
        return False
    return here_errors * 2 > errors and (
        binomial_tail(here_errors, errors, here_requests / requests) < _SURE
    )


def _is_ordinary(errors: int, requests: int, rate: float) -> bool:
    """Whether a count of errors is what the baseline's rate leads one to expect."""
    return binomial_tail(errors, requests, max(rate, 1e-3)) > 0.01


def _mostly_client(arm: Arm) -> bool:
    return arm.requests > 0 and arm.client_errors / arm.requests > _CLIENT_SHARE
