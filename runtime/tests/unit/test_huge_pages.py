"""Which memory is put on huge pages, and where the kernel is left alone."""

import mmap
from pathlib import Path

import pytest

from prometheus_ai_runtime.hosting import huge_pages

MIB = 1024 * 1024


def area(start: int, end: int, *, kind: str = "rw-p", file: str = "", rss: int, huge: int) -> str:
    inode = "4711" if file.startswith("/") else "0"
    return (
        f"{start:x}-{end:x} {kind} 00000000 00:00 {inode} {file}\n"
        f"Size:           {(end - start) // 1024} kB\n"
        f"Rss:            {rss // 1024} kB\n"
        f"AnonHugePages:  {huge // 1024} kB\n"
        "THPeligible:    1\n"
        "VmFlags: rd wr mr mw me ac\n"
    )


FULL = 8 * MIB


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        (area(0, FULL, rss=FULL, huge=0), [(0, FULL)]),
        (area(MIB, FULL + MIB, rss=FULL, huge=0), [(2 * MIB, FULL)]),
        (area(0, FULL, file="[heap]", rss=FULL, huge=0), [(0, FULL)]),
        (area(0, FULL, rss=FULL // 2, huge=0), []),
        (area(0, FULL, rss=FULL, huge=FULL), []),
        (area(0, FULL, kind="r--p", rss=FULL, huge=0), []),
        (area(0, FULL, kind="rw-s", rss=FULL, huge=0), []),
        (area(0, FULL, file="/usr/lib/weights.bin", rss=FULL, huge=0), []),
        (area(0, 2 * MIB, rss=2 * MIB, huge=0), []),
    ],
)
def test_private_memory_that_fills_huge_pages_is_found(
    described: str, expected: list[tuple[int, int]]
) -> None:
    before = area(1 << 40, (1 << 40) + FULL, file="/usr/lib/other.so", rss=FULL, huge=0)
    assert list(huge_pages.areas(before + described)) == expected


@pytest.mark.parametrize("setting", ["[always] madvise never\n", "always madvise [never]\n", None])
def test_only_where_the_kernel_leaves_it_to_programs(tmp_path: Path, setting: str | None) -> None:
    file = tmp_path / "enabled"
    if setting is not None:
        file.write_text(setting)
    assert huge_pages.use(setting=file) == 0


def test_what_is_in_memory_stays_as_it_is(tmp_path: Path) -> None:
    """The areas are those of this process: one of them is a buffer with known bytes."""
    (tmp_path / "enabled").write_text("always [madvise] never\n")
    with mmap.mmap(-1, 16 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as buffer:
        buffer.write(bytes(range(256)) * (16 * MIB // 256))
        asked = huge_pages.use(setting=tmp_path / "enabled")
        assert asked >= 8 * MIB
        buffer.seek(0)
        assert buffer.read() == bytes(range(256)) * (16 * MIB // 256)
