"""Uploads: bytes that a deploy is about to name."""

from collections.abc import Iterable, Mapping

from prometheus_ai.control.plane import Plane

KEPT_S = 3600.0
"""How long an upload that no release names yet is safe from collection."""


def has_artefact(plane: Plane, digest: str) -> bool:
    """Whether these bytes are stored; asking for them keeps them for a while."""
    keep_fresh(plane, digest)
    return plane.artefacts.has(digest)


def put_artefact(plane: Plane, chunks: Iterable[bytes], expected: str) -> str:
    """Store bytes whose digest the client named.

    Raises:
        Corrupted: the bytes have another digest.
        Unavailable: the disk is full.
    """
    keep_fresh(plane, expected)
    return plane.artefacts.put_stream(chunks, expected=expected)


def put_tree(plane: Plane, files: Mapping[str, str]) -> str:
    """Store a folder as a manifest of files stored before; return its digest.

    Raises:
        InvalidInput: a path leaves the folder, or a file is not stored.
    """
    digest = plane.artefacts.put_tree(dict(files))
    keep_fresh(plane, digest)
    for stored in files.values():
        keep_fresh(plane, stored)
    return digest


def fresh_uploads(plane: Plane) -> frozenset[str]:
    """Return the digests that were uploaded or asked for lately."""
    oldest = plane.clock.monotonic() - KEPT_S
    with plane.work.lock:
        for digest in [d for d, at in plane.work.uploads.items() if at < oldest]:
            del plane.work.uploads[digest]
        return frozenset(plane.work.uploads)


def keep_fresh(plane: Plane, digest: str) -> None:
    """Keep bytes that no release names yet from being collected for a while."""
    with plane.work.lock:
        plane.work.uploads[digest] = plane.clock.monotonic()
