"""Effects on replicas: what a decision asks drivers to do, run outside the plane's lock."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_ai.control.gates.admit import admit
from prometheus_ai.control.gates.image_evidence import looked_into
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.errors import (
    Corrupted,
    InvalidInput,
    PlatformError,
    Refused,
    Unsupported,
)
from prometheus_ai.domain.release import Release
from prometheus_ai.domain.replica import Exit, ExitCause
from prometheus_ai.domain.secret import Secret
from prometheus_ai.ports.driver import Driver, ReplicaOrder

_OWN_CAUSES: dict[type[PlatformError], ExitCause] = {
    Corrupted: ExitCause.LOAD_FAILED,
    InvalidInput: ExitCause.BAD_CONFIG,
    Refused: ExitCause.BAD_CONFIG,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """Start a recorded replica."""

    id: str
    backend: str
    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """End a replica."""

    id: str
    target: str
    grace_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Forget:
    """Let the driver forget a replica that ended."""

    id: str
    target: str


Effect = Launch | Stop | Forget


def run(plane: Plane, effects: tuple[Effect, ...]) -> None:
    """Run effects; launches go to the plane's workers, since verifying a large model takes time."""
    for effect in effects:
        if isinstance(effect, Launch):
            plane.workers.submit(_launch, plane, effect)
        else:
            if isinstance(effect, Forget):
                with plane.work.lock:
                    plane.work.failed_starts.pop(effect.id, None)
            for driver in _drivers(plane, effect.target):
                _end(driver, effect)


def _drivers(plane: Plane, target: str) -> list[Driver]:
    """Return the driver of a target; for a stray of unknown target, all: ending by id is idempotent."""
    return [plane.drivers[target]] if target in plane.drivers else list(plane.drivers.values())


def _end(driver: Driver, effect: Stop | Forget) -> None:
    try:
        if isinstance(effect, Stop):
            driver.stop(effect.id, effect.grace_s)
        else:
            driver.forget(effect.id)
    except PlatformError:
        # The target cannot be reached now; the record stands, so the next pass asks again.
        return


def _launch(plane: Plane, launch: Launch) -> None:
    try:
        _start(plane, launch)
    except PlatformError as error:
        _close_unstarted(plane, launch, error)
    finally:
        with plane.work.lock:
            plane.work.launching.discard(launch.id)
        plane.wake.set()


def _start(plane: Plane, launch: Launch) -> None:
    with plane.store.read() as reading:
        release = reading.release(launch.backend, launch.version)
    if release is None:
        raise InvalidInput(f"release {launch.backend}/{launch.version} is gone")
    driver = plane.driver(release.spec.target)
    admit(plane, release)
    order = ReplicaOrder(
        id=launch.id,
        release=release,
        model_path=plane.artefacts.open_path(release.inputs.model),
        lock_path=plane.artefacts.open_path(release.inputs.lock),
        secrets=_secrets(plane, release),
        image=_image(plane, release),
    )
    driver.start(order)


def _image(plane: Plane, release: Release) -> str:
    """Return the image that the gate decided about: what it did not look into does not start."""
    image = looked_into(plane, release)
    if not image and plane.gate is not None and release.spec.target in plane.builders:
        raise Refused(
            f"the image of {release.id} was never looked into", hint="deploy the release again"
        )
    return image


def _secrets(plane: Plane, release: Release) -> Mapping[str, Secret]:
    """Read the secrets of a release as they are now: a changed one reaches the next replica."""
    wanted = release.spec.secrets
    if wanted and plane.secrets is None:
        raise Unsupported("this control plane reads no secrets")
    return {
        name: plane.secrets.read(reference)
        for name, reference in wanted.items()
        if plane.secrets is not None
    }


def _close_unstarted(plane: Plane, launch: Launch, error: PlatformError) -> None:
    """Record a start that failed before anything ran, so that it counts like any other failure."""
    cause = _OWN_CAUSES.get(type(error), ExitCause.CRASH)
    message = f"{error.message} ({error.hint})" if error.hint else error.message
    plane.work.report(launch.backend, launch.version, f"start of {launch.id} failed: {message}")
    with plane.work.lock:
        plane.work.failed_starts[launch.id] = Exit(
            cause=cause, message=message, at=plane.clock.now()
        )
