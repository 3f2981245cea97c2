"""Planning the image of one release."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_ai.build.dockerfile import Content, PartName, dockerfile
from prometheus_ai.build.libraries import SystemLibrary, libraries_of
from prometheus_ai.build.packages import part, text_of
from prometheus_ai.build.tools import TOOLS_LOCK
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.image import (
    CONFIG_FILE,
    LABEL_BACKEND,
    LABEL_BASE_MADE,
    LABEL_HOME,
    LABEL_LOCK,
    LABEL_MODEL,
    LABEL_PLAN,
    LABEL_RELEASE,
    LABEL_VERSION,
    LABEL_WEIGHTS,
    MODEL_FOLDER,
    BaseImage,
    BuildPlan,
    Stage,
)
from prometheus_ai.domain.image_spec import ImageSpec
from prometheus_ai.domain.release import Release
from prometheus_ai.domain.server_config import server_config

MOUNT_FROM_BYTES = 100_000_000
"""From this size on a model is mounted: a code edit must not push its weights again."""
CONFIG_IN_CONTEXT = f"config{CONFIG_FILE}"
MODEL_IN_CONTEXT = f"model{MODEL_FOLDER}"
"""Laid out as in the image: a folder that a build itself creates would carry the time of the build."""
IGNORED = "*\n!Dockerfile\n!locks\n!server\n!config\n!model\n"

_NOT_REPRODUCIBLE = (
    "not reproducible: the image's creation time, its build history and, where no cache has the step, the times of "
    "the folders into which a step copies; every file of every layer is"
)

Names = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanInputs:
    """What decides an image beside the release itself."""

    home: str
    lock: str
    """The text of the lock."""
    base: BaseImage
    wheel: str
    """File name of the model server's wheel."""
    sdists: tuple[str, ...] = ()
    """Packages of the lock that have no wheel for this Python and machine."""


def image_tag(home: str, release: Release) -> str:
    """Return the name of a release's image; installations that share an engine do not collide."""
    return f"pai-{home}/{release.backend}:{release.version}"


def plan_image(release: Release, inputs: PlanInputs) -> BuildPlan:
    """Plan a release's image.

    Raises:
        InvalidInput: the lock names no package, so nothing is pinned.
    """
    chosen = release.spec.image or ImageSpec()
    heavy, light, compiled = part(inputs.lock, inputs.sdists)
    if not (heavy or light or compiled):
        raise InvalidInput(
            f"the lock of {release.id} names no package", hint="deploy the backend again"
        )
    weights = _weights(release, chosen)
    libraries = libraries_of(name for name, _ in (*heavy, *light, *compiled))
    parts: tuple[PartName, ...] = (*(("heavy",) if heavy else ()), "light")
    labels = _labels(release, inputs, weights)
    content = Content(
        base=inputs.base.reference,
        parts=parts,
        compiled=[name for name, _ in compiled],
        bytecode=chosen.bytecode,
        wheel=inputs.wheel,
        has_model_layer=weights == "layer",
        labels=labels,
        libraries=libraries,
    )
    files = {
        ".dockerignore": IGNORED,
        "locks/tools.txt": TOOLS_LOCK,
        "locks/light.txt": text_of(light),
        CONFIG_IN_CONTEXT: _config(release),
    }
    if heavy:
        files["locks/heavy.txt"] = text_of(heavy)
    if compiled:
        files["locks/compiled.txt"] = text_of(compiled)
    text = dockerfile(content)
    digest = _digest(release, inputs, text, files)
    return BuildPlan(
        tag=image_tag(inputs.home, release),
        dockerfile=f'{text}LABEL {LABEL_PLAN}="{digest}"\n',
        files=files,
        stages=_stages(heavy, light, compiled, weights, chosen.bytecode),
        labels={**labels, LABEL_PLAN: digest},
        base=inputs.base,
        weights=weights,
        digest=digest,
        notes=(*_notes(release, inputs, chosen, weights), *map(_library_note, libraries)),
    )


def _weights(release: Release, chosen: ImageSpec) -> str:
    if chosen.weights != "auto":
        return chosen.weights
    return "mount" if release.inputs.model.size_bytes >= MOUNT_FROM_BYTES else "layer"


def _labels(release: Release, inputs: PlanInputs, weights: str) -> dict[str, str]:
    return {
        LABEL_HOME: inputs.home,
        LABEL_BACKEND: release.backend,
        LABEL_VERSION: release.version,
        LABEL_RELEASE: f"{release.id}@{release.digest}",
        LABEL_LOCK: release.inputs.lock.digest,
        LABEL_MODEL: release.inputs.model.digest,
        LABEL_WEIGHTS: weights,
        "org.opencontainers.image.title": release.backend,
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.base.digest": inputs.base.digest,
        **({LABEL_BASE_MADE: inputs.base.made_at} if inputs.base.made_at else {}),
    }


def _config(release: Release) -> str:
    path = f"{MODEL_FOLDER}/{release.inputs.model.name}"
    return json.dumps(server_config(release, path), indent=1, sort_keys=True) + "\n"


def _digest(release: Release, inputs: PlanInputs, text: str, files: Mapping[str, str]) -> str:
    content = {
        "dockerfile": text,
        "files": dict(files),
        "base": inputs.base.digest,
        "model": release.inputs.model.digest,
        "runtime": release.inputs.runtime,
    }
    return "sha256:" + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _stages(
    heavy: Names, light: Names, compiled: Names, weights: str, bytecode: str
) -> tuple[Stage, ...]:
    stages = [Stage(name="tools", does="uv, pinned by digest; not in the result")]
    if compiled:
        names = tuple(name for name, _ in compiled)
        stages.append(
            Stage(name="builder", does="compilers for packages without a wheel", packages=names)
        )
    if bytecode == "cold-start":
        stages.append(Stage(name="interpreter", does="bytecode of the standard library"))
    if heavy:
        names = tuple(name for name, _ in heavy)
        stages.append(Stage(name="heavy", does="large packages that change seldom", packages=names))
    names = tuple(name for name, _ in light)
    stages.append(Stage(name="light", does="all other packages", packages=names))
    stages.append(Stage(name="server", does="the model server"))
    stages.append(Stage(name="runtime", does="interpreter and environment, no build tools"))
    models = {
        "layer": "model in a layer of its own",
        "mount": "model mounted read-only",
        "pull": "model fetched and checked at every start",
    }
    does = f"{models[weights]}, configuration, hardening, health check"
    stages.append(Stage(name="production", does=does))
    return tuple(stages)


def _library_note(one: SystemLibrary) -> str:
    return (
        f"not reproducible: {one.file}, which a package expects of the system, comes from the base's "
        f"distribution ({one.debian}, {one.alpine} on Alpine) as its mirror has it at the time"
    )


def _notes(
    release: Release, inputs: PlanInputs, chosen: ImageSpec, weights: str
) -> tuple[str, ...]:
    size = release.inputs.model.size_bytes / 1e6
    notes = [
        f"base {inputs.base.reference} is pinned as {inputs.base.digest}",
        f"weights: {weights}, because the model has {size:.1f} MB and the spec says {chosen.weights}",
        f"bytecode: {chosen.bytecode}",
        _NOT_REPRODUCIBLE,
    ]
    if "@sha256:" not in inputs.base.reference:
        notes.append(
            "the base came from no image registry, so the engine cannot look its digest up: "
            "it is compared before and after the build instead"
        )
    if not inputs.sdists:
        notes.append("no builder stage: every package has a wheel")
    return tuple(notes)
