"""Evidence about the image of a release: gathered once it is built, kept by the image's own id."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import rfc8785
from pydantic import TypeAdapter

from prometheus_ai.build import image_tag
from prometheus_ai.control.plane import Gate, Plane
from prometheus_ai.domain.errors import InvalidInput, PlatformError
from prometheus_ai.domain.gate import Evidence, Hardening, ImageScan
from prometheus_ai.domain.image_spec import ContainerSpec
from prometheus_ai.domain.release import Release
from prometheus_ai.gates.opinions import unlisted
from prometheus_ai.ports.image_scanner import ImageSaver

_SCAN = TypeAdapter(ImageScan)


def examine_image(plane: Plane, release: Release) -> None:
    """Look into the image of a release, unless this very image was looked into before.

    Raises:
        InvalidInput: the image cannot be read; then it does not run.
        Unavailable: the engine cannot give it now.
    """
    saver = plane.builders.get(release.spec.target)
    if plane.gate is None or not isinstance(saver, ImageSaver):
        return
    with plane.store.read() as reading:
        home = reading.setting("installation") or ""
        imported = reading.setting(imported_setting(release.digest))
    with tempfile.TemporaryDirectory(prefix="pai-image-") as folder:
        path = Path(folder) / "image.tar"
        image = saver.save(imported or image_tag(home, release), path)
        found = replace(_scan(plane.gate, path), image=image)
    content = rfc8785.dumps(_SCAN.dump_python(found, mode="json"))
    document = plane.gate.evidence.put_stream([content], expected=None)
    with plane.store.write() as tx:
        tx.put_setting(_setting(release), json.dumps({"image": image, "document": document}))


def _scan(gate: Gate, path: Path) -> ImageScan:
    try:
        return _with_opinions(gate, path, gate.images.scan(path))
    except PlatformError:
        raise
    except Exception as error:
        # What breaks the scanner does not run.
        raise InvalidInput(f"the scanner of images broke off: {error!r}") from error


def _with_opinions(gate: Gate, path: Path, found: ImageScan) -> ImageScan:
    """Add what other scanners say; one that is installed and fails leaves something unread."""
    said = [one.look(path) for one in gate.opinions if one.is_here()]
    unread = [f"{one.scanner}: {one.problem}" for one in said if one.problem]
    for one in said:
        lacking = unlisted(found.sbom.components, one.components)
        unread += [f"{one.scanner} also found {text}" for text in lacking]
    return replace(
        found,
        sbom=replace(found.sbom, unread=(*found.sbom.unread, *unread)),
        others=tuple(weakness for one in said for weakness in one.vulnerabilities),
        asked=tuple(one.scanner for one in said),
    )


def looked_into(plane: Plane, release: Release) -> str:
    """Return the id of the image that was looked into for a release; nothing where there was none."""
    with plane.store.read() as reading:
        held = reading.setting(_setting(release))
    return str(json.loads(held)["image"]) if held else ""


def imported_setting(digest: str) -> str:
    """Return the setting that names the image which a bundle brought for a release, by its digest."""
    return f"imported-image/{digest}"


def with_image(plane: Plane, gate: Gate, release: Release, evidence: Evidence) -> Evidence:
    """Add what is known about the image of a release, where its target runs one."""
    with plane.store.read() as reading:
        held = reading.setting(_setting(release))
    if not held:
        return evidence
    found = _SCAN.validate_json(b"".join(gate.evidence.read(json.loads(held)["document"])))
    return replace(
        evidence,
        image=found.image,
        sbom=found.sbom,
        secrets=found.secrets,
        image_models=found.models,
        image_others=found.others,
        hardening=_hardening(release, found),
    )


def _hardening(release: Release, found: ImageScan) -> Hardening:
    """Return how the container will run: its target sets all of it but the user, whatever the image says."""
    asked = release.spec.container or ContainerSpec()
    return Hardening(
        user=str(asked.user) if "user" in asked.exceptions else found.user,
        read_only_root=asked.read_only_root,
        capabilities=asked.capabilities,
        no_new_privileges=asked.no_new_privileges,
        exceptions={str(name): why for name, why in asked.reasons.items()},
        base_created_at=found.base_made_at,
    )


def _setting(release: Release) -> str:
    return f"image-evidence/{release.backend}/{release.version}"
