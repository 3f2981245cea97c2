"""Import: a bundle becomes a release here, after every byte of it was checked; all of it or nothing."""

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from prometheus_ai.control.bundles import content
from prometheus_ai.control.bundles.export import formats
from prometheus_ai.control.deploy import Deployed, deploy_pinned
from prometheus_ai.control.gates.admit import check_model, signatures_setting
from prometheus_ai.control.gates.explain import policy_of
from prometheus_ai.control.gates.image_evidence import imported_setting
from prometheus_ai.control.gates.records import gate_of
from prometheus_ai.control.intake.spec_files import unsupported
from prometheus_ai.control.intake.uploads import put_artefact, put_tree
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.plane import Gate, Plane
from prometheus_ai.control.requests import Asker, DeployRequest
from prometheus_ai.domain.errors import Conflict, Corrupted, InvalidInput, Refused, Unsupported
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.release import Artefact
from prometheus_ai.gates import SEAL_PREDICATE
from prometheus_ai.ports.image_scanner import ImageLoader
from prometheus_ai.ports.sealed_bundle import OpenedBundle

CHUNK_BYTES = 1 << 20
SUBJECTS_MAX, BUNDLES_MAX = 8, 64
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """What came of a bundle."""

    backend: str
    version: str
    digest: str
    sealed_by: str
    """The policy's name of the key that sealed it; empty where it was taken unsealed."""
    image: str
    statements: int
    advisories: int
    """Archives of advisories that were taken in with it."""
    is_new: bool


def take_in(plane: Plane, bundle: Artefact, asker: Asker, *, unsealed: bool) -> Imported:
    """Make a release of an uploaded bundle.

    Raises:
        Refused: no key of the policy sealed it and ``unsealed`` is not set, or its model is not safe.
        Corrupted: bytes are not what their digest says.
        Conflict: the version exists here with other content.
        Unsupported, NotFound: this site has no such target, or the target cannot honour the spec.
    """
    gate = gate_of(plane)
    source = plane.artefacts.open_path(bundle)
    with tempfile.TemporaryDirectory(prefix="pai-bundle-") as folder:
        opened = formats(gate).read(source, Path(folder))
        sealed_by = _sealed_by(gate, opened, unsealed=unsealed)
        held = content.read_content(opened.parts)
        if held.image != opened.image:
            raise Corrupted("the bundle's image is not the one that its release names")
        _check_here(plane, held)
        statements = _statements(opened)
        # From here on things are stored: first what nothing refers to yet, at the end what refers to it.
        _store(plane, opened, held)
        check_model(plane, held.spec, held.inputs.model)
        if held.image:
            _loader(plane, held.spec.target).load(source, held.image)
        archives = [
            path for name, path in opened.parts.items() if name.startswith(content.ADVISORIES)
        ]
        for path in archives:
            gate.advisories.import_archive(path)
        _keep_statements(plane, gate, held, statements)
        deployed = _deploy(plane, held, asker)
    with plane.store.write() as tx:
        note(
            plane, tx, Kind.BUNDLE_IMPORTED,
            Change(
                actor=asker.actor, reason=asker.reason or "imported",
                about=(deployed.backend, deployed.version),
                after={
                    "bundle": opened.digest, "file": bundle.digest, "image": held.image,
                    "sealed_by": sealed_by or "nobody", "advisories": len(archives),
                },
            ),
        )  # fmt: skip
    return Imported(
        backend=deployed.backend, version=deployed.version, digest=opened.digest,
        sealed_by=sealed_by, image=held.image, is_new=deployed.is_new, advisories=len(archives),
        statements=sum(len(bundles) for bundles in statements.values()),
    )  # fmt: skip


def _sealed_by(gate: Gate, opened: OpenedBundle, *, unsealed: bool) -> str:
    if opened.seal:
        check = gate.signatures.verify(opened.seal, policy_of(gate).keys, opened.digest)
        if check.key and not check.problem and check.predicate == SEAL_PREDICATE:
            return check.key
        problem = check.problem or "it seals something else"
    else:
        problem = "it has no seal"
    if not unsealed:
        raise Refused(
            f"the bundle is not sealed by a key of the policy: {problem}",
            hint="name the key under `keys:` in the policy; --unsealed takes it all the same",
        )
    return ""


def _check_here(plane: Plane, held: content.Content) -> None:
    """Refuse before anything is stored what could not become a release here."""
    plane.driver(held.spec.target)
    problems = unsupported(plane, held.spec)
    if problems:
        raise Unsupported("; ".join(problems))
    if held.image:
        _loader(plane, held.spec.target)
    with plane.store.read() as reading:
        found = reading.release(held.spec.name, held.version)
    if found is not None and found.digest != held.digest:
        raise Conflict(f"{found.id} exists here with other content, and releases are immutable")


def _loader(plane: Plane, target: str) -> ImageLoader:
    loader = plane.builders.get(target)
    if not isinstance(loader, ImageLoader):
        raise Unsupported(
            f"the bundle brings an image, and target {target!r} takes none",
            hint="`pai target add` a Docker Engine under the name that the spec gives",
        )
    return loader


def _statements(opened: OpenedBundle) -> dict[str, list[bytes]]:
    """Return signed statements by what they are about."""
    try:
        listed = json.loads(opened.parts[content.SIGNATURES_PART].read_bytes())
        found = {
            str(subject): [_statement(opened, str(one)) for one in bundles]
            for subject, bundles in listed.items()
        }
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(f"the bundle's signatures cannot be read: {error}") from error
    if len(found) > SUBJECTS_MAX or not all(_DIGEST.fullmatch(subject) for subject in found):
        raise InvalidInput("the bundle's signatures are about something else")
    return found


def _statement(opened: OpenedBundle, digest: str) -> bytes:
    name = f"{content.STATEMENTS}{digest.removeprefix('sha256:')}.sigstore.json"
    return opened.parts[name].read_bytes()


def _store(plane: Plane, opened: OpenedBundle, held: content.Content) -> None:
    """Store model and lock under the digests that the release names."""
    for artefact in (held.inputs.model, held.inputs.lock):
        path = _bytes_of(opened, artefact.digest)
        if not artefact.is_tree:
            put_artefact(plane, _chunks(path), artefact.digest)
            continue
        files = {str(k): str(v) for k, v in json.loads(path.read_bytes())["files"].items()}
        for digest in sorted(set(files.values())):
            put_artefact(plane, _chunks(_bytes_of(opened, digest)), digest)
        if put_tree(plane, files) != artefact.digest:
            raise Corrupted(f"the folder {artefact.name} is not what its digest says")


def _bytes_of(opened: OpenedBundle, digest: str) -> Path:
    path = opened.parts.get(content.ARTEFACTS + digest.removeprefix("sha256:"))
    if path is None:
        raise Corrupted(f"the bundle lacks {digest}, which its release names")
    return path


def _keep_statements(
    plane: Plane, gate: Gate, held: content.Content, statements: dict[str, list[bytes]]
) -> None:
    """Keep statements, and which image is this release's; they count only where a key verifies them."""
    stored = {
        subject: [gate.evidence.put_stream([one], expected=None) for one in bundles]
        for subject, bundles in statements.items()
    }
    with plane.lock, plane.store.write() as tx:
        for subject, digests in stored.items():
            known = json.loads(tx.setting(signatures_setting(subject)) or "[]")
            merged = list(dict.fromkeys([*known, *digests]))[:BUNDLES_MAX]
            tx.put_setting(signatures_setting(subject), json.dumps(merged))
        if held.image:
            tx.put_setting(imported_setting(held.digest), held.image)


def _deploy(plane: Plane, held: content.Content, asker: Asker) -> Deployed:
    spec = held.spec.model_copy(update={"version": held.version})
    request = DeployRequest(
        spec=spec, model_digest=held.inputs.model.digest, model_name=held.inputs.model.name,
        model_is_tree=held.inputs.model.is_tree,
    )  # fmt: skip
    said = replace(asker, reason=asker.reason or "imported from a bundle")
    return deploy_pinned(plane, request, held.inputs, said)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
