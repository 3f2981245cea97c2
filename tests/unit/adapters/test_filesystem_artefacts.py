"""What the contract cannot say: the disk below the store."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prometheus_ai.adapters.artefacts.filesystem import FilesystemArtefactStore
from prometheus_ai.domain.errors import InvalidInput, Unavailable
from prometheus_ai.domain.release import Artefact

LIMITED = """
import resource, signal, sys
from pathlib import Path
from prometheus_ai.adapters.artefacts.filesystem import FilesystemArtefactStore
from prometheus_ai.domain.errors import Unavailable
store = FilesystemArtefactStore(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store.put_stream([b"x" * 50_000] * 4, expected=None)
except Unavailable as error:
    print(error.message, "|", error.hint)
"""


@pytest.fixture
def store(tmp_path: Path) -> FilesystemArtefactStore:
    return FilesystemArtefactStore(tmp_path / "artefacts")


def _put(store: FilesystemArtefactStore, content: bytes = b"model") -> Artefact:
    digest = store.put_stream([content], expected=None)
    return Artefact(digest=digest, name="model.onnx", size_bytes=len(content))


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "the disk is full" in done.stdout
    assert "free space" in done.stdout
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_place_that_is_no_folder_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        FilesystemArtefactStore(tmp_path / "file")


def test_stored_files_are_read_only(store: FilesystemArtefactStore, tmp_path: Path) -> None:
    path = store.open_path(_put(store))
    assert path.stat().st_mode & 0o777 == 0o444


def test_another_store_on_the_same_folder_has_everything(
    store: FilesystemArtefactStore, tmp_path: Path
) -> None:
    artefact = _put(store)
    again = FilesystemArtefactStore(tmp_path / "artefacts")
    assert again.open_path(artefact).read_bytes() == b"model"


def test_a_file_added_to_a_shown_tree_is_removed_before_use(
    store: FilesystemArtefactStore,
) -> None:
    part = _put(store).digest
    tree = Artefact(digest=store.put_tree({"a/m.py": part}), name="t", size_bytes=5, is_tree=True)
    path = store.open_path(tree)
    (path / "a" / "sitecustomize.py").write_text("import os")
    os.link(path / "a" / "m.py", path / "b.py")
    path = store.open_path(tree)
    assert [p.name for p in path.rglob("*.py")] == ["m.py"]


def test_a_link_in_place_of_a_shown_file_is_replaced(
    store: FilesystemArtefactStore, tmp_path: Path
) -> None:
    artefact = _put(store)
    path = store.open_path(artefact)
    path.unlink()
    (tmp_path / "other").write_bytes(b"other")
    path.symlink_to(tmp_path / "other")
    path = store.open_path(artefact)
    assert path.read_bytes() == b"model"
    assert not path.is_symlink()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b"])
def test_a_name_never_leaves_its_view(store: FilesystemArtefactStore, name: str) -> None:
    digest = _put(store).digest
    with pytest.raises(InvalidInput):
        store.open_path(Artefact(digest=digest, name=name, size_bytes=5))


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:../../x", f"md5:{'0' * 64}", "0" * 64])
def test_what_is_no_digest_is_refused(store: FilesystemArtefactStore, digest: str) -> None:
    with pytest.raises(InvalidInput):
        store.has(digest)


def test_old_remains_of_a_crash_are_swept_and_young_ones_left(
    store: FilesystemArtefactStore, tmp_path: Path
) -> None:
    incoming = tmp_path / "artefacts" / "incoming"
    (incoming / "old").write_text("half")
    (incoming / "young").write_text("half")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(incoming / "old", (two_days_ago, two_days_ago))
    FilesystemArtefactStore(tmp_path / "artefacts")
    assert [path.name for path in incoming.iterdir()] == ["young"]
