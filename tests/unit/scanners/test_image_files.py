"""Images read file by file, and written again without some of them."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from prometheus_ai.adapters.scanners.images import LayeredImageFiles
from prometheus_ai.domain.errors import InvalidInput

SITE = "usr/lib/python3.11/site-packages"
CONFIG = {
    "config": {"User": "10001", "Healthcheck": {"Test": ["CMD", "x"]}, "Labels": {"a": "b"}},
    "history": [
        {"created_by": "ADD rootfs"},
        {"created_by": "USER 10001", "empty_layer": True},
        {"created_by": "RUN rm -rf /old"},
    ],
    "rootfs": {"type": "layers", "diff_ids": ["sha256:0", "sha256:1"]},
}


def layer(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return stream.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


LOWER = layer(
    ("old/a", b"aa"), ("old/b", b"b" * 10), ("tool", b"t" * 100),
    link("tool-too", "tool", tarfile.LNKTYPE), link("tool-three", "tool", tarfile.LNKTYPE),
    link("bin", "usr/bin"), (f"{SITE}/x-1.dist-info/RECORD", b"x/a.py,,\n"),
)  # fmt: skip
UPPER = layer((".wh.old", b""), ("data/.wh..wh..opq", b""), ("data/new", b"n"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "image.tar"
    manifest = [
        {"Config": "ab.json", "RepoTags": ["x:1"], "Layers": ["0/layer.tar", "1/layer.tar"]}
    ]
    parts = {
        "ab.json": json.dumps(CONFIG).encode(),
        "manifest.json": json.dumps(manifest).encode(),
        "0/layer.tar": LOWER,
        "1/layer.tar": UPPER,
    }
    path.write_bytes(layer(*parts.items()))
    return path


def test_every_file_whiteout_and_setting_is_read(archive: Path) -> None:
    found = LayeredImageFiles().read(archive)
    lower, upper = ({file.path: file for file in one.files} for one in found.layers)
    assert lower["old/b"].size_bytes == 10
    assert {name for name, file in lower.items() if file.kind == "link"} == {
        "tool-too", "tool-three", "bin",
    }  # fmt: skip
    assert (upper["old"].kind, upper["data"].kind) == ("removed", "opaque")
    assert [one.made_by for one in found.layers] == ["ADD rootfs", "RUN rm -rf /old"]
    assert (found.user, found.has_healthcheck, found.labels) == ("10001", True, {"a": "b"})
    assert found.databases == {f"{SITE}/x-1.dist-info/RECORD": "x/a.py,,\n"}


def test_equal_content_has_equal_digests(tmp_path: Path) -> None:
    path = tmp_path / "rootfs.tar"
    path.write_bytes(layer(("a", b"same"), ("b", b"same"), ("c", b"other")))
    found = LayeredImageFiles().read(path)
    digests = [file.digest for file in found.layers[0].files]
    assert digests[0] == digests[1] != digests[2]
    assert not found.is_whole


def test_what_is_dropped_is_gone_and_the_rest_as_it_was(archive: Path, tmp_path: Path) -> None:
    target = tmp_path / "written.tar"
    files = LayeredImageFiles()
    files.write(archive, target, (frozenset({"old/b", "tool"}), frozenset({"data/new"})), "y:2")
    found = files.read(target)
    lower, upper = ({file.path: file for file in one.files} for one in found.layers)
    assert set(upper) == {"old", "data"}
    assert "old/b" not in lower
    # A hard link keeps the content of a name that went, once.
    assert lower["tool-too"].size_bytes == 100
    assert lower["tool-three"].kind == "link"
    assert found.user == "10001"
    with tarfile.open(target) as outer:
        manifest = json.loads(outer.extractfile("manifest.json").read())  # type: ignore[union-attr]
    assert manifest[0]["RepoTags"] == ["y:2"]
    assert manifest[0]["Config"].startswith(found.image.removeprefix("sha256:"))


def test_a_root_file_system_cannot_become_an_image(tmp_path: Path) -> None:
    path = tmp_path / "rootfs.tar"
    path.write_bytes(layer(("a", b"1")))
    with pytest.raises(InvalidInput, match="root file system"):
        LayeredImageFiles().write(path, tmp_path / "o.tar", (frozenset(),), "a:1")
