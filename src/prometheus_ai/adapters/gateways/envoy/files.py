"""Files that are whole or absent, never half-written."""

import os
from pathlib import Path


def swap(path: Path, content: bytes, aside: Path) -> None:
    """Put content in place by a rename from the folder ``aside``; Envoy notices nothing else.

    Not synchronised to disk: these files are rendered again from the table at every start.
    """
    draft = aside / path.name
    draft.write_bytes(content)
    draft.replace(path)


def write_durably(path: Path, content: bytes) -> None:
    """Write aside, synchronise, rename: after a power cut the file is the old or the new one."""
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    rename_durably(draft, path)


def rename_durably(source: Path, path: Path) -> None:
    """Rename, and make the new name survive a power cut."""
    source.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
