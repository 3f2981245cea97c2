"""Advisory data: what the gate judges by, and taking in more."""

from collections.abc import Callable

from prometheus_ai.control.gates.records import gate_of
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.gate import AdvisoryData
from prometheus_ai.domain.release import Artefact


def status(plane: Plane) -> AdvisoryData:
    """Say what advisory data there is."""
    return gate_of(plane).advisories.status()


def import_upload(plane: Plane, digest: str, asker: Asker) -> AdvisoryData:
    """Take in an archive that was uploaded.

    Raises:
        NotFound: nothing with this digest was uploaded.
        InvalidInput: it is no archive of advisories.
    """
    size = plane.artefacts.size_bytes(digest)
    path = plane.artefacts.open_path(Artefact(digest=digest, name="advisories", size_bytes=size))
    return _changed(plane, lambda: gate_of(plane).advisories.import_archive(path), digest, asker)


def update(plane: Plane, url: str, asker: Asker) -> AdvisoryData:
    """Download an archive and take it in.

    Raises:
        InvalidInput: it is no archive of advisories.
        Unavailable: the host cannot be reached.
    """
    return _changed(plane, lambda: gate_of(plane).advisories.update(url), url, asker)


def _changed(
    plane: Plane, change: Callable[[], AdvisoryData], source: str, asker: Asker
) -> AdvisoryData:
    before = gate_of(plane).advisories.status()
    after = change()
    with plane.store.write() as tx:
        note(
            plane,
            tx,
            Kind.ADVISORIES_UPDATED,
            Change(
                actor=asker.actor,
                reason=asker.reason or f"from {source}",
                before={"digest": before.digest},
                after={
                    "digest": after.digest,
                    "advisories": after.advisories,
                    "newest": after.newest_at.isoformat() if after.newest_at else "",
                },
            ),
        )
    plane.wake.set()
    return after
