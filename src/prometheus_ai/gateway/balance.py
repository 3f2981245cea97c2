"""Which releases get traffic now: wanted weights, corrected for what can answer."""

from prometheus_ai.domain.route import WEIGHT_SUM, BackendRoute, RoutedRelease, Weights


def is_live(release: RoutedRelease) -> bool:
    """Whether a release has at least one replica that takes new requests."""
    return any(not replica.is_draining for replica in release.replicas)


def is_held(release: RoutedRelease) -> bool:
    """Whether requests for a release wait for a replica."""
    return release.hold is not None and not is_live(release)


def can_take(release: RoutedRelease) -> bool:
    """Whether a release may be given a request: a replica takes it, or it is held for one."""
    return is_live(release) or release.hold is not None


def live_weights(route: BackendRoute) -> Weights:
    """Return the weights in force over every routed release, in the order of ``route.releases``.

    A release without a live replica has weight zero unless its requests are held; the others share
    its part in proportion.
    The sum is constant, and so are order and length, because sticky assignment depends on all three.
    Empty when no weighted release can answer.
    """
    wanted = dict(route.weights)
    shares = [
        (release.version, wanted.get(release.version, 0) if can_take(release) else 0)
        for release in route.releases
    ]
    total = sum(share for _, share in shares)
    if total == 0:
        return ()
    points = [(version, share * WEIGHT_SUM // total) for version, share in shares]
    # Whole points are left over after rounding down; the largest release can take them unnoticed.
    largest = max(range(len(points)), key=lambda place: points[place][1])
    version, weight = points[largest]
    points[largest] = (version, weight + WEIGHT_SUM - sum(point for _, point in points))
    return tuple(points)
