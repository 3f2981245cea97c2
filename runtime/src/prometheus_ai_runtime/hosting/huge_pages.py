"""Puts what a model keeps in memory on huge pages, where the kernel leaves that to programs.

A call of a large model reads all its weights.
On pages of 4 KiB the processor spends a tenth of a lone request on finding where they lie.
"""

import contextlib
import ctypes
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

_PAGE_BYTES = 2 * 1024 * 1024
_AREA_BYTES_MIN = 2 * _PAGE_BYTES
_RESIDENT_MIN = 0.9
"""An area that is emptier than this would grow by it."""
_STEP_BYTES = 32 * _PAGE_BYTES
"""The kernel is asked for so much at once, so that whoever else needs the address space gets a turn."""
_MADV_HUGEPAGE, _MADV_COLLAPSE = 14, 25

_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_SMAPS = Path("/proc/self/smaps")
_AREA = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0 *(?:\[heap\]|\[anon[^\n]*)?\n((?:[A-Z]\S+: [^\n]*\n)+)",
    re.MULTILINE,
)

Area = tuple[int, int]
"""The first address and the one after the last."""


def begin() -> None:
    """Move to huge pages what is in memory now, on a thread that ends when that is done."""
    Thread(target=use, name="huge-pages", daemon=True).start()


def use(setting: Path = _SETTING, smaps: Path = _SMAPS) -> int:
    """Move to huge pages what fills them, and give the bytes asked for; 0 where the kernel decides alone.

    A kernel before 6.1 moves them by itself, little by little.
    """
    with contextlib.suppress(OSError, AttributeError):
        if "[madvise]" not in setting.read_text():
            return 0
        madvise = ctypes.CDLL(None).madvise
        asked = 0
        for start, end in areas(smaps.read_text()):
            for first in range(start, end, _STEP_BYTES):
                size = min(_STEP_BYTES, end - first)
                where = ctypes.c_void_p(first), ctypes.c_size_t(size)
                # An area that went meanwhile is refused, and nothing is lost.
                if not madvise(*where, _MADV_HUGEPAGE):
                    madvise(*where, _MADV_COLLAPSE)
                    asked += size
        return asked
    return 0


def areas(smaps: str) -> Iterator[Area]:
    """The parts of private memory that fill huge pages and do not lie on them yet."""
    for match in _AREA.finditer(smaps):
        start, end = int(match[1], 16), int(match[2], 16)
        about = dict(line.split(":", 1) for line in match[3].splitlines())
        resident = _kilobytes(about, "Rss") * 1024
        huge = _kilobytes(about, "AnonHugePages") * 1024
        if end - start < _AREA_BYTES_MIN or resident < _RESIDENT_MIN * (end - start):
            continue
        if huge >= _RESIDENT_MIN * resident:
            continue
        first = -(-start // _PAGE_BYTES) * _PAGE_BYTES
        last = end // _PAGE_BYTES * _PAGE_BYTES
        if first < last:
            yield first, last


def _kilobytes(about: dict[str, str], name: str) -> int:
    return int(about.get(name, "0 kB").split()[0])
