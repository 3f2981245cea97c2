"""Routes: traffic weights over releases, and the table that the gateway serves."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.replica import Endpoint

WEIGHT_SUM = 10_000
"""Weights are basis points with a constant sum, so that sticky assignment survives changes."""

Weights = tuple[tuple[str, int], ...]


def weights_from_percent(percent: Mapping[str, float]) -> Weights:
    """Normalise percentages that sum to 100 into basis points that sum to 10,000.

    Raises:
        InvalidInput: a weight is negative, or the sum is not 100.
    """
    for version, share in percent.items():
        if not 0 <= share <= 100:
            raise InvalidInput(f"weight {version}={share:g} is not between 0 and 100")
    total = sum(percent.values())
    if abs(total - 100) > 0.001:
        raise InvalidInput(
            f"weights sum to {total:g}, not 100", hint="for example: pai route NAME v1=90 v2=10"
        )
    points = {version: round(share * 100) for version, share in percent.items()}
    if points:
        largest = max(points, key=lambda version: points[version])
        points[largest] += WEIGHT_SUM - sum(points.values())
    return tuple((version, weight) for version, weight in points.items() if weight > 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sticky:
    """Which part of a request decides its release."""

    header: str | None = None
    cookie: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RoutedReplica:
    """One endpoint of a release."""

    id: str
    endpoint: Endpoint
    is_draining: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """How requests wait for a release that has no replica."""

    wait_s: float
    """Longest wait; then the request fails."""
    start_s: float
    """How long a cold start takes, nine times out of ten: what a refused caller is told to wait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RoutedRelease:
    """A release that the gateway can reach, by weight or by name."""

    version: str
    replicas: tuple[RoutedReplica, ...]
    request_timeout_s: float
    request_bytes_max: int
    is_idempotent: bool = False
    hold: Hold | None = None
    """None where a request without a ready replica fails at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirror:
    """Which release gets copies of requests; nobody gets its answers to them."""

    version: str
    points: int
    """Share of requests to copy, in basis points."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BackendRoute:
    """All that the gateway knows of one backend."""

    backend: str
    weights: Weights
    releases: tuple[RoutedRelease, ...]
    sticky: Sticky | None = None
    mirror: Mirror | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteTable:
    """What the gateway serves. ``generation`` grows with every change and never goes back."""

    generation: int
    backends: tuple[BackendRoute, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """The gateway's answer to a table."""

    generation: int
    """The generation in force."""
    accepted: bool
    detail: str = ""
    """Why the newest table was rejected, in the data plane's own words."""
    took_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayStatus:
    """What the gateway says of itself."""

    is_serving: bool
    generation: int
    url: str
    rejected_generation: int | None = None
    rejected_detail: str = ""
    data_plane_pid: int | None = None
    data_plane_restarts: int = 0
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldRelease:
    """One release that requests wait for."""

    backend: str
    version: str
    requests: int


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldReport:
    """Which releases are waited for. ``number`` changes whenever another release is waited for."""

    number: int
    releases: tuple[HeldRelease, ...]
