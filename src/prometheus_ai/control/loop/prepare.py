"""Preparing releases: environments and images are made on a worker, once, before replicas start."""

from dataclasses import replace

from prometheus_ai.control.gates.admit import admit
from prometheus_ai.control.gates.image_evidence import examine_image
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.errors import InvalidInput, PlatformError, Refused
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.release import Release, ReleasePhase

ACTOR = "control-plane"
ATTEMPTS_MAX = 3
"""Tries at preparing a release whose failure may pass, such as an index that does not answer."""


def prepare(plane: Plane, releases: tuple[tuple[str, str], ...]) -> None:
    """Hand every release, as (backend, version), to a worker, unless one has it already."""
    for key in releases:
        with plane.work.lock:
            if key in plane.work.preparing:
                continue
            plane.work.preparing.add(key)
        plane.workers.submit(_prepare, plane, key)


def _prepare(plane: Plane, key: tuple[str, str]) -> None:
    try:
        with plane.store.read() as reading:
            release = reading.release(*key)
        if release is not None:
            _prepare_release(plane, release)
            _move(plane, key, ReleasePhase.STARTING, "")
    except (InvalidInput, Refused) as error:
        _move(plane, key, ReleasePhase.FAILED, _in_words(error))
    except PlatformError as error:
        plane.work.report(*key, f"preparation failed: {error.message}")
        with plane.work.lock:
            failures = plane.work.prepare_failures.get(key, 0) + 1
            plane.work.prepare_failures[key] = failures
        if failures >= ATTEMPTS_MAX:
            _move(plane, key, ReleasePhase.FAILED, _in_words(error))
    finally:
        with plane.work.lock:
            plane.work.preparing.discard(key)
        plane.wake.set()


def _prepare_release(plane: Plane, release: Release) -> None:
    admit(plane, release)
    lock_path = plane.artefacts.open_path(release.inputs.lock)
    plane.driver(release.spec.target).prepare(
        release,
        lock_path,
        lambda line: plane.work.report(release.backend, release.version, line),
    )
    if release.spec.target in plane.builders:
        examine_image(plane, release)
        admit(plane, release)


def _move(plane: Plane, key: tuple[str, str], phase: ReleasePhase, failure: str) -> None:
    backend, version = key
    with plane.lock, plane.store.write() as tx:
        state = next((s for s in tx.release_states(backend) if s.version == version), None)
        if state is None or state.phase is not ReleasePhase.PREPARING:
            return
        tx.put_release_state(
            replace(state, phase=phase, phase_since=plane.clock.now(), failure=failure)
        )
        if phase is ReleasePhase.FAILED:
            note(
                plane,
                tx,
                Kind.RELEASE_FAILED,
                Change(actor=ACTOR, reason=failure, about=key, after={"phase": phase.value}),
            )


def _in_words(error: PlatformError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
