"""Keeping requests that releases ask to keep, and forgetting them in time."""

from collections.abc import Sequence
from datetime import timedelta

from prometheus_ai.control.answers.remembering import attempt, write
from prometheus_ai.control.plane import Hearing, Plane
from prometheus_ai.domain.answers import KeptRequest


def keep_requests(
    plane: Plane, hearing: Hearing, name: str, version: str, requests: Sequence[KeptRequest]
) -> None:
    """Keep what a replica told, within the bounds of its release."""
    with plane.store.read() as reading:
        release = reading.release(name, version)
    if release is None or release.spec.recording is None:
        return
    bounds = release.spec.recording

    def kept() -> None:
        hearing.log.keep(
            name,
            requests,
            plane.clock.now(),
            kept_max=bounds.requests,
            kept_for=timedelta(seconds=bounds.keep_s),
        )

    write(hearing, name, len(requests), kept, None)


def forget_requests(plane: Plane, hearing: Hearing) -> None:
    """Remove what was kept long enough, and what was kept of backends that are gone."""
    with plane.store.read() as reading:
        living = [backend.name for backend in reading.backends() if not backend.is_deleting]
    now = plane.clock.now()
    attempt(hearing, "forgetting", lambda: hearing.log.drop_kept(now, living), 0)
