"""Images on their way: to an image registry and back, with what is signed about them."""

import base64
import binascii
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_ai.adapters.registries.oci import (
    Layout,
    OciRegistry,
    Reference,
    attach,
    credentials_of,
    open_layout,
    pull,
    push,
    read_reference,
    seal_bundle,
    signatures_of,
)
from prometheus_ai.adapters.signers.ecdsa import BundleVerifier, verify_older
from prometheus_ai.compose.signing import signer_of
from prometheus_ai.domain.errors import Conflict, Corrupted, InvalidInput, Refused
from prometheus_ai.domain.gate import SignatureCheck
from prometheus_ai.gates import IMAGE_PREDICATE, SEAL_PREDICATE

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """What the signatures over an image at an image registry came to."""

    reference: str
    digest: str
    key: str
    """The key that signed it, by the name it was given; empty where none did."""
    bundles: tuple[SignatureCheck, ...]
    older: tuple[SignatureCheck, ...]
    """Signatures in the form of cosign 2."""

    @property
    def is_signed(self) -> bool:
        """Whether a key signed this very image; a signed list of packages is no signature over an image."""
        return bool(self.key)


def push_image(path: Path, reference: str, say: Say) -> str:
    """Push a saved image and what refers to it; return NAME@DIGEST."""
    place = read_reference(reference)
    with open_layout(path) as layout, _registry(place) as registry:
        if place.digest and place.digest != layout.image.digest:
            raise InvalidInput(f"{path} is {layout.image.digest}, not {place.digest}")
        image = push(registry, layout, place.tag, say)
    return f"{place.name}@{image.digest}"


def pull_image(reference: str, target: Path, keys: tuple[Path, ...], say: Say) -> str:
    """Pull an image and what refers to it into one file; with keys, only when one of them signed it.

    Raises:
        Conflict: the file exists.
        Refused: no key that was given signed it.
        Corrupted: bytes are not what their digest says.
    """
    if target.exists():
        raise Conflict(f"{target} exists", hint="choose another file")
    place = read_reference(reference)
    with _registry(place) as registry:
        pointer = registry.manifest(place.pointer).digest
        if keys:
            found = _verified(registry, place, pointer, keys)
            if not found.is_signed:
                raise Refused(f"{place} is not signed by {_names(keys)}", hint=_problems(found))
        with Layout.temporary() as layout:
            # By digest: what was verified is what is fetched, whatever the tag names meanwhile.
            pull(registry, pointer, layout, say)
            layout.write(target, str(place) if place.tag else "")
    return f"{place.name}@{pointer}"


def sign_image(reference: str, key: str | None) -> Verified:
    """Sign an image at its image registry in both of cosign's forms, then read them back and verify them.

    Raises:
        Corrupted: what was read back does not verify.
    """
    place = read_reference(reference)
    signer = signer_of(key)
    with _registry(place) as registry:
        manifest = registry.manifest(place.pointer)
        config = manifest.blobs[0][0] if "config" in manifest.fields else ""
        for attachment in signer.sign_image(
            place.name, manifest.digest, len(manifest.content), config
        ):
            attach(registry, manifest.digest, attachment)
        bundles, older = signatures_of(registry, manifest.digest)
    found = _checked(place, manifest.digest, {"key": signer.public_key}, (bundles, older))
    if not any(_approves(one) for one in found.bundles) or not any(
        _approves(one) for one in found.older
    ):
        raise Corrupted(f"{place.name} gave back other signatures than it was given")
    return found


def verify_image(reference: str, keys: tuple[Path, ...]) -> Verified:
    """Verify the signatures over an image where it lies."""
    place = read_reference(reference)
    with _registry(place) as registry:
        return _verified(registry, place, registry.manifest(place.pointer).digest, keys)


def seal(path: Path, key: str | None) -> str:
    """Seal a bundle with a key; return what was sealed.

    Raises:
        Conflict: it is sealed.
        InvalidInput: it is no bundle, or the key cannot be read.
    """
    signer = signer_of(key)
    return seal_bundle(path, lambda digest: signer.sign(digest, path.name, SEAL_PREDICATE, b"{}"))


def _verified(
    registry: OciRegistry, place: Reference, digest: str, keys: tuple[Path, ...]
) -> Verified:
    pems = {path.name: path.read_text("utf-8") for path in keys}
    return _checked(place, digest, pems, signatures_of(registry, digest))


def _checked(
    place: Reference,
    digest: str,
    keys: dict[str, str],
    held: tuple[list[bytes], list[tuple[bytes, str]]],
) -> Verified:
    verifier = BundleVerifier()
    bundles = tuple(verifier.verify(one, keys, digest) for one in held[0])
    older = tuple(
        verify_older(payload, _decoded(signature), keys, digest) for payload, signature in held[1]
    )
    approving = [one.key for one in (*bundles, *older) if _approves(one)]
    return Verified(
        reference=str(place), digest=digest, key=approving[0] if approving else "",
        bundles=bundles, older=older,
    )  # fmt: skip


def _approves(one: SignatureCheck) -> bool:
    return bool(one.key) and not one.problem and one.predicate == IMAGE_PREDICATE


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _names(keys: tuple[Path, ...]) -> str:
    return ", ".join(path.name for path in keys)


def _problems(found: Verified) -> str:
    said = [one.problem or f"signs {one.predicate}" for one in (*found.bundles, *found.older)]
    return "; ".join(dict.fromkeys(said)) or "it has no signature at all"


def _registry(place: Reference) -> OciRegistry:
    return OciRegistry(place, credentials_of(place.host, os.environ))
