"""The files of an image, layer by layer, from the archive that the engine gives."""

import json
import tarfile
import tempfile
from collections.abc import Iterator
from typing import IO

from prometheus_ai.adapters.docker_engine import DockerEngine
from prometheus_ai.domain.image import FileEntry

WHITEOUT = ".wh."


def layer_files(engine: DockerEngine, image: str) -> list[tuple[FileEntry, ...]]:
    """Return the files of each layer, lowest first."""
    with tempfile.TemporaryFile(prefix="pai-image-") as spool:
        for chunk in engine.stream(f"/images/{image}/get"):
            spool.write(chunk)
        spool.seek(0)
        with tarfile.open(fileobj=spool, mode="r:") as archive:
            manifest_file = archive.extractfile("manifest.json")
            assert manifest_file is not None
            layers = json.load(manifest_file)[0]["Layers"]
            found = []
            for name in layers:
                member = _resolved(archive, name)
                content = archive.extractfile(member)
                assert content is not None
                found.append(tuple(_entries(content)))
            return found


def _resolved(archive: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    """Follow the links by which older engines share equal layers."""
    member = archive.getmember(name)
    while member.issym():
        folder = name.rpartition("/")[0]
        name = f"{folder}/{member.linkname}".replace(f"{folder}/../", "")
        member = archive.getmember(name)
    return member


def _entries(content: IO[bytes]) -> Iterator[FileEntry]:
    with tarfile.open(fileobj=content, mode="r|*") as layer:
        for member in layer:
            if member.isdir():
                continue
            folder, _, name = member.name.rpartition("/")
            is_removed = name.startswith(WHITEOUT)
            path = f"{folder}/{name.removeprefix(WHITEOUT)}" if folder else name
            yield FileEntry(
                path=f"/{path.lstrip('./')}" if path.startswith(".") else f"/{path}",
                size_bytes=member.size,
                mode=member.mode,
                user_id=member.uid,
                is_removed=is_removed,
            )
