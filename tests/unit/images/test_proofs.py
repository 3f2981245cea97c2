"""Nothing is called safe that was not tried, and what breaks is taken back."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from prometheus_ai.control.containers.proofs import Bench, prove
from prometheus_ai.domain.image import LABEL_RELEASE
from prometheus_ai.domain.image_contents import ImageContents, Proof, Risk, StoredFile, StoredLayer
from prometheus_ai.images import analyze
from prometheus_ai.ports.image_files import Tried

SITE = "usr/local/lib/python3.11/site-packages"
CACHE, HEADER, TESTS = "var/lib/apt/lists/x", f"{SITE}/lib/a.h", f"{SITE}/scipy/tests/t.py"
MODULE = f"{SITE}/lib/__init__.py"


def stored(path: str, size: int = 1_000_000) -> StoredFile:
    return StoredFile(path=path, size_bytes=size, digest=path.encode())


CONTENTS = ImageContents(
    image="sha256:" + "ab" * 32,
    layers=(
        StoredLayer(
            digest="sha256:1",
            made_by="",
            files=(
                *map(stored, (CACHE, HEADER, TESTS, MODULE)),
                StoredFile(path="usr/local/bin/python3", kind="link"),
            ),
        ),
    ),
    databases={},
)


@dataclass
class World:
    """Files and engine in one: an image is the set of paths that it misses."""

    needed: frozenset[str] = frozenset()
    predicts: bool = True
    images: dict[str, frozenset[str]] = field(default_factory=dict)
    written: list[frozenset[str]] = field(default_factory=list)
    _next: tuple[str, frozenset[str]] = ("", frozenset())

    def read(self, path: Path) -> ImageContents:
        return CONTENTS

    def write(self, path: Path, target: Path, dropped: Sequence[frozenset[str]], tag: str) -> None:
        self._next = tag, frozenset[str]().union(*dropped)
        self.written.append(self._next[1])

    def load(self, path: Path) -> None:
        tag, gone = self._next
        self.images[tag] = gone

    def run(self, image: str, command: Sequence[str]) -> Tried:
        lacks = self.images[image] & self.needed
        if command[0] != "/usr/local/bin/python3":
            return Tried(code=1 if lacks or not self.predicts else 0, output="")
        words = f"ImportError: {min(lacks)}" if lacks else ""
        return Tried(code=0, output="noise\n" + json.dumps(dict.fromkeys(command[4:], words)))

    def serve(self, image: str) -> Tried:
        return Tried(code=0 if self.predicts else 1, output="")

    def size_bytes(self, image: str) -> int:
        return 4_000_000 - 1_000_000 * len(self.images[image])

    def rename(self, tag: str, new: str) -> None:
        self.images[new] = self.images.pop(tag)

    def remove(self, tag: str) -> None:
        self.images.pop(tag, None)


def proof(
    world: World, tmp_path: Path, contents: ImageContents = CONTENTS, **changes: object
) -> Proof:
    bench = Bench(files=world, trial=world, folder=tmp_path, say=lambda _: None)
    return prove(
        replace(bench, **changes),  # type: ignore[arg-type]
        tmp_path / "a.tar", contents, analyze(contents, "x"),
    )  # fmt: skip


def test_what_works_as_before_is_safe_and_kept(tmp_path: Path) -> None:
    world = World()
    found = proof(world, tmp_path, command=("predict",))
    assert found.verdict == "safe"
    assert set(found.applied) == {"package-caches", "test-trees"}
    assert (found.size_before_bytes, found.size_after_bytes) == (4_000_000, 2_000_000)
    assert world.images == {found.tag: frozenset({CACHE, TESTS})}


def test_without_a_prediction_nothing_is_called_safe(tmp_path: Path) -> None:
    assert proof(World(), tmp_path).verdict == "imports-only"
    assert proof(World(predicts=False), tmp_path, command=("predict",)).verdict == "imports-only"


def test_an_image_of_ours_predicts_by_its_own_server(tmp_path: Path) -> None:
    ours = replace(CONTENTS, labels={LABEL_RELEASE: "digits/v1@sha256:1"})
    assert proof(World(), tmp_path, ours).verdict == "safe"


def test_what_breaks_is_taken_back_and_the_rest_stays(tmp_path: Path) -> None:
    world = World(needed=frozenset({HEADER}))
    found = proof(world, tmp_path, command=("predict",), risk=Risk.MEDIUM)
    assert found.verdict == "safe"
    assert found.left_out == ("headers",)
    assert world.images[found.tag] == {CACHE, TESTS}


def test_when_everything_breaks_no_image_is_left(tmp_path: Path) -> None:
    world = World(needed=frozenset({CACHE, HEADER, TESTS}))
    found = proof(world, tmp_path, command=("predict",))
    assert (found.verdict, found.tag, found.applied) == ("breaks", "", ())
    assert any(one.worked_before and not one.works_after for one in found.checks)
    assert world.images == {}


def test_nothing_riskier_than_asked_is_tried(tmp_path: Path) -> None:
    world = World()
    proof(world, tmp_path, command=("predict",), risk=Risk.LOW)
    assert all(HEADER not in gone for gone in world.written)


@pytest.mark.parametrize("output", ["", "Killed", "{not json"])
def test_an_interpreter_that_dies_is_a_failed_import(tmp_path: Path, output: str) -> None:
    class Dying(World):
        def run(self, image: str, command: Sequence[str]) -> Tried:
            if self.images[image]:
                return Tried(code=139, output=output)
            return super().run(image, command)

    assert proof(Dying(), tmp_path).verdict == "breaks"
