"""ZIP archives: every byte belongs to a member, and every member is looked into."""

import tempfile
import zipfile
from pathlib import PurePosixPath
from typing import IO

from prometheus_ai.adapters.scanners.model_files.formats import keras, skops, torch
from prometheus_ai.adapters.scanners.model_files.scan import Scan
from prometheus_ai.adapters.scanners.model_files.source import Source, Unreadable

MEMBERS_MAX = 200_000
SPOOL_BYTES = 32 * 2**20
_HEADER_BYTES = 30
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_HAS_DESCRIPTOR = 0x8
_DESCRIPTOR_BYTES_MAX = 24
_END_BYTES = 22


def read_zip(file: IO[bytes], size: int, scan: Scan) -> None:
    """Read an archive from its first to its last byte.

    Raises:
        Unreadable: its structure is damaged, or differs between its two tables of content.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            _check_layout(archive, file, size)
            for info in archive.infolist():
                if info.flag_bits & _ENCRYPTED:
                    scan.notes.inside(info.filename).add(
                        "encrypted",
                        "is marked as encrypted: it cannot be read, others may ignore the mark",
                    )
            _read_members(archive, scan)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise Unreadable(f"the archive is damaged: {error}") from error


def _read_members(archive: zipfile.ZipFile, scan: Scan) -> None:
    infos = [one for one in archive.infolist() if not one.flag_bits & _ENCRYPTED]
    names = frozenset(info.filename for info in infos)
    special = torch.describe(names, scan) or skops.describe(names) or keras.describe(names)
    scan.notes.is_format(special or "zip", runs_code=special in torch.PICKLED)
    reader = torch.Archive(names, scan) if special in torch.KINDS else None
    for info in sorted(infos, key=_describes_others):
        if info.is_dir():
            continue
        member = scan.inside(info.filename)
        try:
            with archive.open(info) as opened:
                source = Source(opened, _counted(scan, info))
                if reader is None or not reader.read(info.filename, source, member):
                    _read_member(source, member, info, special)
                if left := source.rest():
                    member.notes.add("trailing", f"{left} bytes follow its end")
        except Unreadable as error:
            member.notes.fault(error)


def _describes_others(info: zipfile.ZipInfo) -> bool:
    """Sort first what says what the other members are."""
    return not info.filename.endswith((".pkl", "_config.json"))


def _read_member(source: Source, scan: Scan, info: zipfile.ZipInfo, special: str) -> None:
    name = PurePosixPath(info.filename).name
    if special == "skops" and name == "schema.json":
        skops.read_schema(source, scan)
    elif special == "keras" and name == "config.json":
        keras.read_config(source, scan)
    elif source.peek(4) == b"PK\x03\x04":
        read_nested(source, scan)
    else:
        scan.look(source, scan, info.filename)


def read_nested(source: Source, scan: Scan) -> None:
    """Read an archive that lies inside something else, over a temporary copy."""
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as copy:
        size = 0
        while chunk := source.peek(1 << 20):
            copy.write(source.read(len(chunk)))
            size += len(chunk)
        copy.seek(0)
        read_zip(copy, size, scan)


def _counted(scan: Scan, info: zipfile.ZipInfo) -> "_Spender":
    return _Spender(scan, info.compress_size)


class _Spender:
    def __init__(self, scan: Scan, packed: int) -> None:
        self._scan, self._packed = scan, packed

    def __call__(self, count: int) -> None:
        self._scan.budget.spend_expanded(count, self._packed)


def _check_layout(archive: zipfile.ZipFile, file: IO[bytes], size: int) -> None:
    """Demand that members lie side by side, that both tables agree and that nothing lies between."""
    infos = sorted(archive.infolist(), key=lambda one: one.header_offset)
    if len(infos) > MEMBERS_MAX:
        raise Unreadable(f"holds more than {MEMBERS_MAX} files", "bomb")
    if len({info.filename for info in infos}) < len(infos):
        raise Unreadable("names a file twice, and readers differ in which one they take")
    if archive.comment:
        raise Unreadable("carries a comment that no reader of models looks at", "trailing")
    end = slack = 0
    for info in infos:
        path = PurePosixPath(info.filename)
        if path.is_absolute() or ".." in path.parts:
            raise Unreadable(f"names a file outside: {info.filename!r}", "outside")
        if not end <= info.header_offset <= end + slack:
            raise Unreadable("holds bytes that belong to no file", "trailing")
        end = _end_of(file, info)
        slack = _DESCRIPTOR_BYTES_MAX if info.flag_bits & _HAS_DESCRIPTOR else 0
    start = archive.start_dir
    if not end <= start <= end + slack:
        raise Unreadable("holds bytes that belong to no file", "trailing")
    file.seek(start)
    if infos and file.read(4) != b"PK\x01\x02":
        raise Unreadable("has no table of content where it says")
    file.seek(size - _END_BYTES)
    if file.read(4) != b"PK\x05\x06":
        raise Unreadable("holds bytes after its table of content", "trailing")


def _end_of(file: IO[bytes], info: zipfile.ZipInfo) -> int:
    file.seek(info.header_offset)
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or header[:4] != b"PK\x03\x04":
        raise Unreadable("has a table of content that points nowhere")
    name_length = int.from_bytes(header[26:28], "little")
    extra_length = int.from_bytes(header[28:30], "little")
    name = file.read(name_length)
    if name != info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437"):
        raise Unreadable("names a file differently in its two tables of content")
    if int.from_bytes(header[8:10], "little") != info.compress_type:
        raise Unreadable("describes a file differently in its two tables of content")
    if int.from_bytes(header[6:8], "little") & _ENCRYPTED:
        info.flag_bits |= 1
    return info.header_offset + _HEADER_BYTES + name_length + extra_length + info.compress_size
