"""What may lie in the repository."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.tree import Tree, report

BYTES_MAX = 300_000
LARGE = {
    "openapi.json": "every route of the API, written from the code",
    "uv.lock": "every distribution with its digests",
}
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".sh", ".txt", ".cfg", ".json", ".svg", ".ini", ""}

# Paths of one machine, and names that resolve on one network only.
PRIVATE = re.compile(
    r"(?<![\w.])/(?:work|root(?!/\.cache/)|home/\w+|tmp/tools|opt/(?:wheels|pypi)[\w-]*)/"
    r"|\b[\w-]+\.(?:internal|corp|lan)\b(?!\.\w|-)",
)
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
# Inputs for fuzzing are any bytes at all.
CORPUS = re.compile(r"/corpus[\w-]*/")
ALLOWED = {
    "tests/tidy/test_files.py": "spells out what it looks for",
    "uv.lock": "checked by itself below",
}


def _texts(tree: Tree, root: Path) -> Iterator[tuple[str, str]]:
    for file in tree.files:
        place = file.relative_to(root).as_posix()
        if file.suffix in TEXT and place not in ALLOWED and not CORPUS.search(place):
            yield place, file.read_text()


def test_no_blobs(tree: Tree, pytestconfig: pytest.Config) -> None:
    large = {
        str(file): file.stat().st_size
        for file in tree.files
        if file.stat().st_size > BYTES_MAX and file.name not in LARGE
    }
    assert not large, report(large)


def test_programs_and_only_programs_are_executable(tree: Tree) -> None:
    wrong = []
    for file in tree.files:
        is_executable = bool(file.stat().st_mode & stat.S_IXUSR)
        has_interpreter = file.read_bytes()[:2] == b"#!"
        if is_executable != has_interpreter:
            wrong.append(str(file))
    assert not wrong, report(wrong)


def test_no_symbolic_links(tree: Tree) -> None:
    assert not [str(file) for file in tree.files if file.is_symlink()]


def test_nothing_names_one_machine(tree: Tree, pytestconfig: pytest.Config) -> None:
    found = [
        f"{place}:{number}: {line.strip()}"
        for place, text in _texts(tree, pytestconfig.rootpath)
        for number, line in enumerate(text.splitlines(), 1)
        if PRIVATE.search(line)
    ]
    assert not found, report(found)


def test_nothing_is_left_unfinished(tree: Tree, pytestconfig: pytest.Config) -> None:
    found = [
        f"{place}:{number}: {line.strip()}"
        for place, text in _texts(tree, pytestconfig.rootpath)
        for number, line in enumerate(text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not found, report(found)


def test_text_ends_its_lines(tree: Tree, pytestconfig: pytest.Config) -> None:
    wrong = [
        place
        for place, text in _texts(tree, pytestconfig.rootpath)
        if text
        and (not text.endswith("\n") or "\r" in text or re.search(r"[ \t]+$", text, re.MULTILINE))
    ]
    assert not wrong, report(wrong)


def test_the_lock_names_the_public_index_alone(pytestconfig: pytest.Config) -> None:
    lock = (pytestconfig.rootpath / "uv.lock").read_text()
    hosts = set(re.findall(r'"https?://([^/"]+)', lock))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}
