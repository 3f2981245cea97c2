"""Sealed bundles as OCI layouts: one manifest lists every part, and the seal signs that manifest."""

import contextlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from prometheus_ai.adapters.registries.oci.layout import LAYOUT, Layout, open_layout
from prometheus_ai.adapters.registries.oci.media import (
    INDEX_TYPE,
    MANIFEST_TYPE,
    Manifest,
    digest_of,
    read_manifest,
)
from prometheus_ai.domain.errors import Conflict, Corrupted, InvalidInput
from prometheus_ai.ports.sealed_bundle import OpenedBundle

RELEASE_TYPE = "application/vnd.prometheus-ai.release.v1+json"
PART_TYPE = "application/octet-stream"
SIGSTORE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"
IMAGE = "ai.prometheus.image"
SEAL_FILE = "seal.json"
SEAL_BYTES_MAX = 2**20
_PLAIN_FILES = {"oci-layout", "index.json", "manifest.json", SEAL_FILE}


class OciBundles:
    """Implements the BundleFormat port."""

    def write(
        self,
        target: Path,
        parts: Mapping[str, Path | bytes],
        image: Path | None,
        statements: Sequence[bytes],
    ) -> str:
        """Write a bundle; return the digest of the list of its parts."""
        with contextlib.ExitStack() as stack:
            if image is not None:
                layout = stack.enter_context(open_layout(image))
            else:
                layout = stack.enter_context(Layout.temporary())
            listed = [_part(layout, name, source) for name, source in sorted(parts.items())]
            if layout.has_image:
                for statement in statements:
                    layout.add(_referrer(layout, layout.image, statement))
            release = _manifest(
                {
                    "artifactType": RELEASE_TYPE,
                    "config": _empty(layout),
                    "layers": listed,
                    "annotations": {
                        IMAGE: layout.image.digest if layout.has_image else "",
                        # What refers to the image is sealed with the rest.
                        f"{IMAGE}.referrers": ",".join(
                            one.digest for one in layout.listed if "subject" in one.fields
                        ),
                    },
                }
            )
            layout.add(release)
            layout.write(target)
        return release.digest

    def read(self, source: Path, folder: Path) -> OpenedBundle:
        """Check every byte, and unpack."""
        seal = _check_members(source)
        with open_layout(source) as layout:
            release = _release(layout)
            _check_reached(layout, release, source)
            parts = {}
            for described in release.fields["layers"]:
                name = str((described.get("annotations") or {}).get(TITLE, ""))
                path = folder / _plain(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                with layout.open(str(described["digest"])) as held, path.open("xb") as file:
                    shutil.copyfileobj(held, file, 1 << 20)
                parts[name] = path
            image = layout.image.blobs[0][0] if layout.has_image else ""
            return OpenedBundle(digest=release.digest, parts=parts, image=image, seal=seal)


def seal_bundle(path: Path, sign: Callable[[str], bytes]) -> str:
    """Add a seal to a bundle that has none; return what was sealed.

    Raises:
        Conflict: it has a seal.
        InvalidInput, Corrupted: as for reading.
    """
    if _check_members(path):
        raise Conflict(f"{path} is sealed", hint="export it again to seal it by another key")
    with open_layout(path) as layout:
        digest = _release(layout).digest
    data = sign(digest)
    with tarfile.open(path, "a") as packed:
        member = tarfile.TarInfo(SEAL_FILE)
        member.size, member.mode = len(data), 0o644
        packed.addfile(member, io.BytesIO(data))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return digest


def _check_members(path: Path) -> bytes:
    """Return the seal; refuse members that are nothing of a bundle's, and names that come twice."""
    try:
        with tarfile.open(path) as packed:
            seen: set[str] = set()
            seal = b""
            for member in packed:
                name = member.name
                is_blob = name.startswith("blobs/sha256/") and name.count("/") == 2
                if not member.isreg() or name in seen or not (is_blob or name in _PLAIN_FILES):
                    raise Corrupted(f"{path} holds {name!r}, which no part of a bundle is called")
                seen.add(name)
                if name == SEAL_FILE:
                    if member.size > SEAL_BYTES_MAX:
                        raise Corrupted("the seal is absurdly long")
                    file = packed.extractfile(member)
                    seal = file.read() if file is not None else b""
            return seal
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InvalidInput(f"{path} is no bundle: {error}") from error


def _check_reached(layout: Layout, release: Manifest, source: Path) -> None:
    """Make sure that the sealed list names everything, and that nothing lies there besides."""
    held = release.fields.get("annotations") or {}
    image = layout.image.digest if layout.has_image else ""
    others = [one for one in layout.listed if one.digest not in (release.digest, image)]
    sealed = [one for one in str(held.get(f"{IMAGE}.referrers", "")).split(",") if one]
    if held.get(IMAGE, "") != image or [one.digest for one in others] != sealed:
        raise Corrupted("the bundle lists other manifests than its own list of parts names")
    named = {one.digest for one in layout.listed}
    named |= {digest for one in layout.listed for digest, _ in one.blobs}
    found = {f"sha256:{path.name}" for path in (layout.folder / "blobs" / "sha256").iterdir()}
    if found != named:
        raise Corrupted("the bundle holds bytes that nothing in it names")
    with tarfile.open(source) as packed:
        for name, expected in _expected(layout).items():
            file = packed.extractfile(name) if name in packed.getnames() else None
            if file is None or file.read() != json.dumps(expected).encode():
                raise Corrupted(f"{name} of the bundle does not say what the bundle holds")


def _expected(layout: Layout) -> dict[str, Any]:
    listed = [one.described() for one in layout.listed]
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": listed}
    expected: dict[str, Any] = {"oci-layout": LAYOUT, "index.json": index}
    if layout.has_image:
        # An engine loads by this file alone, so it may name nothing but the sealed image.
        expected["manifest.json"] = json.loads(layout.engine_file())
    return expected


def _release(layout: Layout) -> Manifest:
    found = [one for one in layout.listed if one.fields.get("artifactType") == RELEASE_TYPE]
    if len(found) != 1:
        raise InvalidInput("it is an OCI layout, and no sealed bundle of a release")
    return found[0]


def _part(layout: Layout, name: str, source: Path | bytes) -> dict[str, Any]:
    if isinstance(source, bytes):
        digest, size = layout.put(source), len(source)
    else:
        with source.open("rb") as file:
            digest, size = layout.put_file(file)
    return {
        "mediaType": PART_TYPE, "digest": digest, "size": size, "annotations": {TITLE: name},
    }  # fmt: skip


def _referrer(layout: Layout, image: Manifest, statement: bytes) -> Manifest:
    digest = layout.put(statement)
    return _manifest(
        {
            "artifactType": SIGSTORE_TYPE,
            "config": _empty(layout),
            "layers": [{"mediaType": SIGSTORE_TYPE, "digest": digest, "size": len(statement)}],
            "subject": {
                "mediaType": image.media_type, "digest": image.digest, "size": len(image.content),
            },
            "annotations": {"dev.sigstore.bundle.content": "dsse-envelope"},
        }
    )  # fmt: skip


def _manifest(fields: dict[str, Any]) -> Manifest:
    whole = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, **fields}
    return read_manifest(json.dumps(whole).encode(), MANIFEST_TYPE)


def _empty(layout: Layout) -> dict[str, Any]:
    layout.put(b"{}")
    return {"mediaType": EMPTY_TYPE, "digest": digest_of(b"{}"), "size": 2}


def _plain(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or path.as_posix() != name:
        raise Corrupted(f"{name!r} is no name of a part")
    return path
