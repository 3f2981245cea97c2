"""One backend's part of the route table."""

import math

from prometheus_ai.domain.replica import ReplicaGoal, ReplicaPhase
from prometheus_ai.domain.route import (
    BackendRoute,
    Hold,
    RoutedRelease,
    RoutedReplica,
    Sticky,
    Weights,
)
from prometheus_ai.domain.spec import Spec
from prometheus_ai.reconcile.view import BackendView, ReleaseView

_SERVING = frozenset({ReplicaPhase.READY, ReplicaPhase.DRAINING, ReplicaPhase.UNREADY})


def backend_route(
    view: BackendView, specs: dict[str, Spec], weights: Weights
) -> BackendRoute | None:
    """Return what the gateway should know of a backend; None when it should not know it at all."""
    if view.backend.is_deleting or not weights:
        return None
    releases = tuple(
        routed
        for release in view.releases
        if (routed := _routed(view, release, specs[release.version])) is not None
    )
    newest = specs[view.releases[-1].version].route.sticky
    sticky = Sticky(header=newest.header, cookie=newest.cookie) if newest is not None else None
    return BackendRoute(
        backend=view.backend.name, weights=weights, releases=releases, sticky=sticky
    )


def _routed(view: BackendView, release: ReleaseView, spec: Spec) -> RoutedRelease | None:
    replicas = []
    for record in release.records:
        seen = view.observed.get(record.id)
        if seen is None or seen.endpoint is None or seen.phase not in _SERVING:
            continue
        draining = record.goal is not ReplicaGoal.RUN or seen.phase is not ReplicaPhase.READY
        replicas.append(RoutedReplica(id=record.id, endpoint=seen.endpoint, is_draining=draining))
    has_weight = release.version in view.routed_versions()
    if not replicas and not has_weight:
        return None
    return RoutedRelease(
        version=release.version,
        replicas=tuple(replicas),
        request_timeout_s=spec.timeouts.request_s,
        request_bytes_max=spec.limits.request_bytes_max,
        is_idempotent=spec.route.idempotent,
        hold=_hold(release, spec),
    )


def _hold(release: ReleaseView, spec: Spec) -> Hold | None:
    if spec.scaling is None or spec.scaling.min > 0:
        return None
    # Whole seconds, so that a table does not change with every start.
    return Hold(wait_s=spec.scaling.hold_s, start_s=float(math.ceil(release.start_s)))
