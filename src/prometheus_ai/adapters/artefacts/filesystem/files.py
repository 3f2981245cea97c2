"""Hashing, durable writing and the errors of a disk."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_ai.domain.errors import InvalidInput, Unavailable

CHUNK_BYTES = 1 << 20
_PREFIX = "sha256:"
_HEX = frozenset("0123456789abcdef")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def hex_of(digest: str) -> str:
    """Return the hexadecimal part of ``sha256:<hex>``.

    Raises:
        InvalidInput: it is no such digest.
    """
    value = digest.removeprefix(_PREFIX)
    if not digest.startswith(_PREFIX) or len(value) != 64 or not _HEX.issuperset(value):
        raise InvalidInput(
            f"{digest!r} is not a digest; it looks like sha256:<64 hexadecimal digits>"
        )
    return value


def digest_of(path: Path) -> str:
    """Return ``sha256:<hex>`` of a file's content."""
    with path.open("rb") as file:
        return _PREFIX + hashlib.file_digest(file, "sha256").hexdigest()


def prefixed(value: str) -> str:
    """Return ``sha256:<hex>`` for the hexadecimal part."""
    return _PREFIX + value


def sync_folder(path: Path) -> None:
    """Make renames inside a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def disk_errors(doing: str, where: Path) -> Iterator[None]:
    """Turn a disk's refusals into Unavailable with what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            reason, hint = "the disk is full", "free space there, or collect unneeded artefacts"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason, hint = "it cannot be written", "make it writable for this user"
        else:
            reason, hint = error.strerror or str(error), "look at the disk and the system log"
        raise Unavailable(f"{doing} in {where}: {reason}", hint=hint) from error
