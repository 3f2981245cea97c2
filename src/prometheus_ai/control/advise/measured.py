"""Everything that was measured of one release, gathered for advice."""

from dataclasses import dataclass
from datetime import timedelta

from prometheus_ai.control.loop.look import sight
from prometheus_ai.control.loop.starts import starts_of
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.cold_start import ColdStart
from prometheus_ai.domain.errors import NotFound, PlatformError
from prometheus_ai.domain.profile import ModelProfile
from prometheus_ai.domain.release import Release
from prometheus_ai.domain.replica import ExitCause, Observed, ReplicaPhase, ReplicaUsage
from prometheus_ai.domain.window import Window
from prometheus_ai.ports.state_store import Reading

REQUESTS_MAX = 500_000
"""Of a busy backend, the newest windows with so many requests; they say enough."""
SPAN = timedelta(days=7)
"""Traffic of this span is looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What is known of one release and of its backend's traffic."""

    release: Release
    profile: ModelProfile | None
    """None when no replica is ready, or none could say."""
    windows: tuple[Window, ...]
    """Of the whole backend, oldest first."""
    starts: tuple[ColdStart, ...]
    usage: tuple[ReplicaUsage, ...]
    killed_at_bytes: int
    """The memory limit at which a replica was killed lately; 0 when none was."""


def measure(plane: Plane, name: str, version: str | None) -> Measured:
    """Gather what is known of a release: the named one, or the one with most traffic.

    Raises:
        NotFound: the backend or the release does not exist.
    """
    now = plane.clock.now()
    with plane.store.read() as reading:
        release = _release(reading, name, version)
        key = (release.backend, release.version)
        windows = tuple(reading.windows(now - SPAN, name))
        starts = starts_of(plane, reading, key)
        ended = reading.ended_replicas(now - SPAN, name)
    killed = any(
        record.version == release.version
        and record.exit is not None
        and record.exit.cause is ExitCause.OUT_OF_MEMORY
        for record in ended
    )
    ready = [
        seen
        for seen in sight(plane).observed.values()
        if (seen.backend, seen.version) == key and seen.phase is ReplicaPhase.READY
    ]
    return Measured(
        release=release,
        profile=_profile(plane, release, ready),
        windows=_newest(windows),
        starts=starts,
        usage=_usage(plane, release, ready),
        killed_at_bytes=release.spec.resources.memory_bytes if killed else 0,
    )


def _newest(windows: tuple[Window, ...]) -> tuple[Window, ...]:
    total, kept = 0, 0
    for window in reversed(windows):
        total += window.requests + window.rejected
        if total > REQUESTS_MAX:
            break
        kept += 1
    return windows[len(windows) - kept :]


def _release(reading: Reading, name: str, version: str | None) -> Release:
    backend = reading.backend(name)
    if backend is None:
        raise NotFound(f"there is no backend {name!r}", hint="`pai status` lists them")
    history = reading.releases(name)
    most = max(backend.in_force, key=lambda pair: pair[1], default=(history[-1].version, 0))[0]
    wanted = version or most
    for release in history:
        if release.version == wanted:
            return release
    raise NotFound(f"backend {name} has no release {wanted!r}", hint=f"see: pai releases {name}")


def _profile(plane: Plane, release: Release, ready: list[Observed]) -> ModelProfile | None:
    """Ask the replicas, and believe the one that has seen most."""
    if plane.profiles is None:
        return None
    found = []
    for seen in ready:
        if seen.endpoint is None:
            continue
        try:
            found.append(plane.profiles.profile(seen.endpoint, release.backend))
        except PlatformError:
            continue
    known = [profile for profile in found if profile.curve]
    return max(known, key=lambda profile: profile.batches, default=None)


def _usage(plane: Plane, release: Release, ready: list[Observed]) -> tuple[ReplicaUsage, ...]:
    try:
        driver = plane.driver(release.spec.target)
        return tuple(driver.usage([seen.id for seen in ready]).values())
    except PlatformError:
        return ()
