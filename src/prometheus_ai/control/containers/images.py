"""Images of releases: planned, built, found again, and their history."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_ai.build import PlanInputs, plan_image
from prometheus_ai.build.bases import judge_bases, offers_for
from prometheus_ai.build.ejected import ejected_files
from prometheus_ai.build.packages import entries
from prometheus_ai.control.deploy import next_version, release_digest
from prometheus_ai.control.gates.image_evidence import imported_setting
from prometheus_ai.control.intake.inputs import pin
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker, DeployRequest
from prometheus_ai.domain.errors import InvalidInput, NotFound, Unsupported
from prometheus_ai.domain.image import (
    BaseAdvice,
    BuildEvent,
    BuildPlan,
    BuildRecord,
    BuildStep,
    ImageLayer,
)
from prometheus_ai.domain.release import Release
from prometheus_ai.domain.target import LOCAL
from prometheus_ai.ports.artefact_store import ArtefactStore
from prometheus_ai.ports.driver import Progress
from prometheus_ai.ports.environment import RuntimeWheels
from prometheus_ai.ports.image_builder import BuildFiles, ImageBuilder
from prometheus_ai.ports.image_scanner import ImageLoader
from prometheus_ai.ports.state_store import StateStore

BUILDS_KEPT = 50
SLIM = "python:{python}-slim"


def ignore(_event: BuildEvent) -> None:
    """Hear of a build and do nothing."""


@dataclass(frozen=True, kw_only=True)
class ReleaseImageMaker:
    """Makes images of releases on one engine; implements the ReleaseImages port."""

    builder: ImageBuilder
    store: StateStore
    artefacts: ArtefactStore
    wheels: RuntimeWheels
    home: str
    """The installation's short id."""

    def make(self, release: Release, lock_path: Path, progress: Progress) -> None:
        """Build the image, unless the engine has one of this very plan, or a bundle brought it."""
        with self.store.read() as reading:
            imported = reading.setting(imported_setting(release.digest))
        if imported and isinstance(self.builder, ImageLoader) and self.builder.has(imported):
            progress(f"image {imported[:19]} came in a bundle")
            return
        plan = self.plan(release, lock_path)
        if self.builder.find(plan) is not None:
            progress(f"image {plan.tag} is there")
            return
        self.build(release, plan, progress)

    def plan(self, release: Release, lock_path: Path) -> BuildPlan:
        """Plan the image of a release.

        Raises:
            InvalidInput: its base does not exist, or its lock names no package.
            Unavailable: engine or index cannot be reached.
        """
        chosen = release.spec.image
        python = release.inputs.python
        named = chosen.base if chosen is not None and chosen.base else SLIM.format(python=python)
        base = self.builder.base(named)
        return plan_image(
            release,
            PlanInputs(
                home=self.home,
                lock=lock_path.read_text(),
                base=base,
                wheel=self.wheels.runtime_wheel(release.inputs.runtime).name,
                sdists=self.builder.sdists(lock_path, python, base.libc),
            ),
        )

    def build(
        self,
        release: Release,
        plan: BuildPlan,
        progress: Progress,
        on_event: Callable[[BuildEvent], None] = ignore,
    ) -> BuildRecord:
        """Build a plan, and record how it went; ``progress`` is told of steps that ended.

        Raises:
            InvalidInput: a step failed.
            Unavailable: the engine cannot build now.
        """
        model = self.artefacts.open_path(release.inputs.model) if plan.weights == "layer" else None
        files = BuildFiles(
            wheel=self.wheels.runtime_wheel(release.inputs.runtime),
            model=model,
            model_name=release.inputs.model.name,
        )
        progress(f"building image {plan.tag}")

        def heard(event: BuildEvent) -> None:
            on_event(event)
            if event.kind in ("cached", "done"):
                progress(event.line)

        record = self.builder.build(plan, files, heard)
        kept = keep_build(self.store, release.backend, record)
        progress(f"image {plan.tag} built in {kept.took_s:.1f} s, {kept.size_bytes / 1e6:.0f} MB")
        return kept


def keep_build(store: StateStore, backend: str, record: BuildRecord) -> BuildRecord:
    """Store how a build went, with what the cache saved by the recorded times of the same steps."""
    with store.write() as tx:
        history = _history(tx.setting(_setting(backend)))
        cold = {
            step.name: step.took_s for one in history for step in one.steps if not step.is_cached
        }
        saved_s = sum(cold.get(step.name, 0.0) for step in record.steps if step.is_cached)
        kept = replace(record, saved_s=round(saved_s, 2))
        tx.put_setting(_setting(backend), _text((*history, kept)[-BUILDS_KEPT:]))
    return kept


def image_history(plane: Plane, backend: str) -> tuple[BuildRecord, ...]:
    """Return the recorded builds of a backend, oldest first."""
    with plane.store.read() as reading:
        return _history(reading.setting(_setting(backend)))


def plan_of(plane: Plane, request: DeployRequest, target: str) -> BuildPlan:
    """Say what would be built for a spec on a target, and why.

    Raises:
        Unsupported: the target runs no containers.
        InvalidInput, NotFound, Unavailable: as for a deploy.
    """
    release = _draft(plane, request)
    return maker_of(plane, target).plan(release, plane.artefacts.open_path(release.inputs.lock))


def build_of(
    plane: Plane,
    request: DeployRequest,
    target: str,
    asker: Asker,
    on_event: Callable[[BuildEvent], None] = ignore,
) -> BuildRecord:
    """Build the image that a deploy of this spec would run; ``on_event`` hears what happens meanwhile.

    Raises:
        Unsupported: the target runs no containers.
        InvalidInput, NotFound, Unavailable: as for a deploy.
    """
    release = _draft(plane, request, asker)
    maker = maker_of(plane, target)
    plan = maker.plan(release, plane.artefacts.open_path(release.inputs.lock))
    return maker.build(
        release,
        plan,
        lambda line: plane.work.report(release.backend, release.version, line),
        on_event,
    )


def bases_of(plane: Plane, request: DeployRequest, target: str) -> BaseAdvice:
    """Compare slim, full and alpine for what a deploy of this spec would install.

    Raises:
        Unsupported: the target runs no containers.
        InvalidInput, NotFound, Unavailable: as for a deploy.
    """
    release = _draft(plane, request)
    builder = maker_of(plane, target).builder
    lock = plane.artefacts.open_path(release.inputs.lock).read_text()
    python = release.inputs.python
    measured = builder.sizes([one.reference for one in offers_for(python, {})])
    files = builder.offered([name for name, _ in entries(lock)])
    return judge_bases(lock, files, offers_for(python, measured), python)


def eject_of(plane: Plane, request: DeployRequest, target: str) -> Mapping[str, str]:
    """Return the files from which the same image is built without us, by path."""
    release = _draft(plane, request)
    maker = maker_of(plane, target)
    plan = maker.plan(release, plane.artefacts.open_path(release.inputs.lock))
    wheel = maker.wheels.runtime_wheel(release.inputs.runtime)
    return ejected_files(plan, wheel.name, wheel.read_bytes())


def _draft(plane: Plane, request: DeployRequest, asker: Asker | None = None) -> Release:
    """Return the release that a deploy would make, without making it."""
    spec = request.spec
    with plane.store.read() as reading:
        history = reading.releases(spec.name)
    inputs = pin(plane, request, history[-1] if history else None)
    digest = release_digest(spec, inputs)
    same = next((one for one in reversed(history) if one.digest == digest), None)
    if same is not None:
        return same
    return Release(
        backend=spec.name,
        version=spec.version or next_version(history),
        number=len(history) + 1,
        digest=digest,
        spec=spec,
        inputs=inputs,
        created_at=plane.clock.now(),
        created_by=asker.actor if asker else "",
    )


def maker_of(plane: Plane, target: str) -> ReleaseImageMaker:
    """Return what makes the images of a target.

    Raises:
        Unsupported: the target runs no containers.
    """
    plane.driver(target)
    builder = plane.builders.get(target)
    if builder is None:
        known = ", ".join(sorted(plane.builders)) or "none yet; add one with `pai target add`"
        raise Unsupported(
            f"target {target!r} runs no containers" if target == LOCAL else f"no target {target!r}",
            hint=f"name a Docker target with --target; there are: {known}",
        )
    if plane.wheels is None:
        raise Unsupported("this control plane builds no images")
    return ReleaseImageMaker(
        builder=builder,
        store=plane.store,
        artefacts=plane.artefacts,
        wheels=plane.wheels,
        home=installation_id(plane.store),
    )


def installation_id(store: StateStore) -> str:
    """Return the short id that tells this installation's containers and images from others'."""
    with store.read() as reading:
        known = reading.setting("installation")
    if known is None:
        raise NotFound("this installation has no id yet", hint="restart the control plane")
    return known


def _setting(backend: str) -> str:
    return f"image-builds/{backend}"


def _history(text: str | None) -> tuple[BuildRecord, ...]:
    return tuple(_record(values) for values in json.loads(text or "[]"))


def _record(values: dict[str, Any]) -> BuildRecord:
    try:
        return BuildRecord(
            **{
                **values,
                "steps": tuple(BuildStep(**step) for step in values["steps"]),
                "layers": tuple(ImageLayer(**layer) for layer in values["layers"]),
                "at": datetime.fromisoformat(values["at"]),
            }
        )
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidInput(f"a stored build cannot be read: {error}") from error


def _text(records: tuple[BuildRecord, ...]) -> str:
    return json.dumps([{**asdict(one), "at": one.at.isoformat()} for one in records])
