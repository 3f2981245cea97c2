"""Every ArtefactStore keeps the port's promises."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prometheus_ai.adapters.artefacts.filesystem import FilesystemArtefactStore
from prometheus_ai.testing.artefact_store_contract import ArtefactStoreContract, digest_of
from prometheus_ai.testing.fake_artefact_store import FakeArtefactStore
from tests.contract.file_site import FileSite


class TestFakeArtefactStore(ArtefactStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FakeArtefactStore:
        return FakeArtefactStore(tmp_path)

    @pytest.fixture
    def publish(self, store: FakeArtefactStore) -> Callable[[bytes], str]:
        def publish(content: bytes) -> str:
            url = f"https://models.example/{digest_of(content)}"
            store.web[url] = content
            return url

        return publish

    @pytest.fixture
    def damage(self, store: FakeArtefactStore) -> Callable[[str], None]:
        return store.corrupt


class TestFilesystemArtefactStore(ArtefactStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FilesystemArtefactStore:
        return FilesystemArtefactStore(tmp_path / "artefacts")

    @pytest.fixture
    def publish(self) -> Iterator[Callable[[bytes], str]]:
        with FileSite() as site:
            yield site.publish

    @pytest.fixture
    def damage(self, tmp_path: Path) -> Callable[[str], None]:
        def damage(digest: str) -> None:
            value = digest.removeprefix("sha256:")
            path = tmp_path / "artefacts" / "files" / value[:2] / value
            status = path.stat()
            path.chmod(0o644)
            with path.open("r+b") as file:
                file.write(b"\x00")
            path.chmod(0o444)
            # A store that trusted sizes and times would be deceived.
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

        return damage
