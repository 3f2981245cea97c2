"""Export: a release with everything that it needs and everything that is known of it, in one file."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_ai.control.bundles import content
from prometheus_ai.control.gates.admit import signatures_setting
from prometheus_ai.control.gates.image_evidence import looked_into
from prometheus_ai.control.gates.records import Decided, gate_of, latest, release_of
from prometheus_ai.control.intake.uploads import keep_fresh
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.plane import Gate, Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.domain.errors import InvalidInput, NotReady, Unsupported
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.gate import Sbom
from prometheus_ai.domain.release import Artefact, Release
from prometheus_ai.ports.image_scanner import ImageSaver
from prometheus_ai.ports.sealed_bundle import BundleFormat

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """A bundle in the artefact store, to be fetched soon."""

    backend: str
    version: str
    digest: str
    """Of the file."""
    size_bytes: int
    parts: tuple[str, ...]
    image: str


def export(
    plane: Plane, backend: str, version: str | None, advisories: tuple[Artefact, ...], asker: Asker
) -> Exported:
    """Write a bundle of a release; ``advisories`` are uploaded archives that travel with it.

    Raises:
        NotFound: there is no such release, or no decision about it.
        NotReady: its image was not made yet.
    """
    gate = gate_of(plane)
    decided = latest(plane, backend, version)
    release = release_of(plane, backend, decided.candidate.version)
    image = looked_into(plane, release)
    if release.spec.target in plane.builders and not image:
        raise NotReady(f"the image of {release.id} was not made yet")
    parts, statements = _parts(plane, gate, release, decided)
    for one in advisories:
        if not one.name.endswith((".zip", ".json", ".gz")):
            raise InvalidInput(f"{one.name} is no archive of advisories")
        parts[f"{content.ADVISORIES}{one.name}"] = plane.artefacts.open_path(one)
    with tempfile.TemporaryDirectory(prefix="pai-bundle-") as folder:
        saved = Path(folder) / "image.tar"
        if image:
            _save(plane, release, image, saved)
        target = Path(folder) / "bundle.tar"
        formats(gate).write(target, parts, saved if image else None, statements)
        digest = plane.artefacts.put_stream(_chunks(target), expected=None)
        size = target.stat().st_size
    keep_fresh(plane, digest)
    with plane.store.write() as tx:
        note(
            plane, tx, Kind.BUNDLE_EXPORTED,
            Change(
                actor=asker.actor, reason=asker.reason or "exported",
                about=(backend, release.version), after={"bundle": digest, "image": image},
            ),
        )  # fmt: skip
    return Exported(
        backend=backend, version=release.version, digest=digest, size_bytes=size,
        parts=tuple(sorted(parts)), image=image,
    )  # fmt: skip


def formats(gate: Gate) -> BundleFormat:
    """Return what writes and reads bundles.

    Raises:
        Unsupported: this control plane has none.
    """
    if gate.bundles is None:
        raise Unsupported("this control plane writes and reads no bundles")
    return gate.bundles


def _parts(
    plane: Plane, gate: Gate, release: Release, decided: Decided
) -> tuple[dict[str, Path | bytes], list[bytes]]:
    """Return the files of a bundle by name, and the statements about its image."""
    with plane.store.read() as reading:
        home = reading.setting("installation") or ""
        image = decided.evidence.image
        held = {
            subject: json.loads(reading.setting(signatures_setting(subject)) or "[]")
            for subject in (release.inputs.model.digest, release.digest, image)
            if subject
        }
    sbom = decided.evidence.sbom or Sbom(subject=release.digest, components=())
    parts: dict[str, Path | bytes] = {
        content.RELEASE_PART: content.write_content(release, image, home),
        content.DECISION_PART: b"".join(gate.evidence.read(decided.document)),
        content.SBOM_PART: gate.images.write_sbom(sbom, release.id, decided.report.at.isoformat()),
        content.POLICY_PART: gate.policy().encode(),
        content.SIGNATURES_PART: json.dumps(held).encode(),
    }
    bundles = {one: b"".join(gate.evidence.read(one)) for all_ in held.values() for one in all_}
    for digest, data in bundles.items():
        parts[f"{content.STATEMENTS}{digest.removeprefix('sha256:')}.sigstore.json"] = data
    for artefact in (release.inputs.model, release.inputs.lock):
        parts |= _stored(plane, artefact)
    return parts, [bundles[one] for one in held.get(image, ())]


def _stored(plane: Plane, artefact: Artefact) -> dict[str, Path | bytes]:
    """Return an artefact's bytes; of a folder its list and each of its files."""
    name = content.ARTEFACTS + artefact.digest.removeprefix("sha256:")
    if not artefact.is_tree:
        return {name: plane.artefacts.open_path(artefact)}
    listed = b"".join(plane.artefacts.read(artefact.digest))
    folder = plane.artefacts.open_path(artefact)
    files = json.loads(listed)["files"]
    return {name: listed} | {
        content.ARTEFACTS + digest.removeprefix("sha256:"): folder / path
        for path, digest in files.items()
    }


def _save(plane: Plane, release: Release, image: str, target: Path) -> None:
    saver = plane.builders.get(release.spec.target)
    if not isinstance(saver, ImageSaver):
        raise Unsupported(f"target {release.spec.target} gives no image away")
    saver.save(image, target)


def _chunks(path: Path) -> Iterator[bytes]:
    with contextlib.closing(path.open("rb")) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
