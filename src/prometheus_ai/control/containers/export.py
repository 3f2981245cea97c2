"""Exports: files that run a release without the platform."""

from collections.abc import Mapping

from prometheus_ai.build import Exported, compose_files
from prometheus_ai.control.containers.images import installation_id, maker_of
from prometheus_ai.control.containers.targets import read_targets
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.errors import Conflict, NotFound, Unsupported
from prometheus_ai.domain.release import Release, ReleaseState
from prometheus_ai.domain.target import LOCAL
from prometheus_ai.ports.state_store import Reading


def compose_export(plane: Plane, backend: str, version: str | None = None) -> Mapping[str, str]:
    """Return a Compose file and what it needs, by name; of the stable release when none is named.

    Raises:
        NotFound: there is no such backend or release.
        Unsupported: it runs as processes, not as containers.
        Conflict: its image is not on the engine yet.
    """
    with plane.store.read() as reading:
        release, state = _release(reading, backend, version)
        record = next(
            (one for one in read_targets(reading) if one.name == release.spec.target), None
        )
    if release.spec.target == LOCAL:
        raise Unsupported(
            f"{release.id} runs as processes on this machine, and Compose runs containers",
            hint="deploy it to a Docker target first: `pai target add docker --docker`",
        )
    maker = maker_of(plane, release.spec.target)
    plan = maker.plan(release, plane.artefacts.open_path(release.inputs.lock))
    if maker.builder.find(plan) is None:
        raise Conflict(
            f"the image of {release.id} is not on target {release.spec.target}",
            hint="wait until it is deployed: `pai status` shows it",
        )
    return compose_files(
        Exported(
            release=release,
            replicas=max(1, state.replicas_wanted),
            home=installation_id(plane.store),
            image=plan.tag,
            is_mounted=plan.weights != "layer",
            log_driver=record.log_driver if record else "json-file",
            log_options=record.log_options if record else {},
        )
    )


def _release(reading: Reading, name: str, version: str | None) -> tuple[Release, ReleaseState]:
    backend = reading.backend(name)
    releases = reading.releases(name)
    if backend is None or not releases:
        raise NotFound(f"there is no backend {name!r}", hint="`pai status` lists them")
    wanted = version or backend.stable or releases[-1].version
    release = next((one for one in releases if one.version == wanted), None)
    state = next((one for one in reading.release_states(name) if one.version == wanted), None)
    if release is None or state is None:
        raise NotFound(
            f"{name} has no release {wanted!r}", hint=f"`pai releases {name}` lists them"
        )
    return release, state
