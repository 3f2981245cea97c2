"""Downloads resume, restart and give up as they should."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prometheus_ai.adapters.artefacts.filesystem import FilesystemArtefactStore
from prometheus_ai.adapters.artefacts.filesystem.download import DownloadBounds, Downloads
from prometheus_ai.domain.errors import Corrupted, InvalidInput, Unavailable
from tests.contract.file_site import FileSite

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def site() -> Iterator[FileSite]:
    with FileSite() as site:
        yield site


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def open_store(tmp_path: Path, waits: list[float]) -> Callable[..., FilesystemArtefactStore]:
    def open_store(**bounds: float) -> FilesystemArtefactStore:
        downloads = Downloads(
            tmp_path / "downloads",
            bounds=DownloadBounds(**{"attempts": 3, "silence_s": 5.0, **bounds}),  # type: ignore[arg-type]
            wait=waits.append,
        )
        return FilesystemArtefactStore(tmp_path / "artefacts", downloads)

    return open_store


Opener = Callable[..., FilesystemArtefactStore]


def _stored(store: FilesystemArtefactStore) -> bytes:
    return b"".join(store.read(f"sha256:{SHA256}"))


def test_a_broken_download_goes_on_where_it_ended(site: FileSite, open_store: Opener) -> None:
    site.break_after = [100_000, 200_000]
    store = open_store()
    store.fetch(site.publish(CONTENT), SHA256)
    assert _stored(store) == CONTENT
    assert [request.get("range") for request in site.requests] == [
        None,
        "bytes=100000-",
        "bytes=300000-",
    ]


def test_another_process_goes_on_where_one_ended(site: FileSite, open_store: Opener) -> None:
    url = site.publish(CONTENT)
    site.break_after = [100_000, 0, 0, 0]
    with pytest.raises(Unavailable, match="cannot be downloaded") as caught:
        open_store().fetch(url, SHA256)
    assert "100000 bytes are kept" in caught.value.hint
    store = open_store()
    store.fetch(url, SHA256)
    assert _stored(store) == CONTENT
    assert site.requests[-1]["range"] == "bytes=100000-"


def test_a_file_that_changed_meanwhile_is_started_again(site: FileSite, open_store: Opener) -> None:
    url = site.publish(b"x" * len(CONTENT))
    site.break_after = [100_000, 0, 0]
    with pytest.raises(Unavailable):
        open_store().fetch(url, SHA256)
    site.break_after = []
    site.publish(CONTENT)
    store = open_store()
    store.fetch(url, SHA256)
    assert _stored(store) == CONTENT


def test_a_server_that_joins_two_files_wrongly_is_found_out(
    site: FileSite, open_store: Opener
) -> None:
    site.etag = '"always the same"'
    url = site.publish(b"x" * len(CONTENT))
    site.break_after = [100_000, 0, 0]
    with pytest.raises(Unavailable):
        open_store().fetch(url, SHA256)
    site.break_after = []
    site.publish(CONTENT)
    store = open_store()
    store.fetch(url, SHA256)
    assert _stored(store) == CONTENT


def test_a_server_without_ranges_is_started_again(site: FileSite, open_store: Opener) -> None:
    site.has_ranges = False
    site.break_after = [100_000]
    store = open_store()
    store.fetch(site.publish(CONTENT), SHA256)
    assert _stored(store) == CONTENT


def test_trouble_that_may_pass_is_waited_out(
    site: FileSite, open_store: Opener, waits: list[float]
) -> None:
    site.statuses = [503, 429]
    store = open_store()
    store.fetch(site.publish(CONTENT), SHA256)
    assert _stored(store) == CONTENT
    assert waits == [0.5, 1.0]


def test_trouble_that_stays_is_an_end(site: FileSite, open_store: Opener) -> None:
    site.statuses = [500] * 3
    with pytest.raises(Unavailable, match="answered 500"):
        open_store().fetch(site.publish(CONTENT), SHA256)
    assert len(site.requests) == 3


def test_a_refusal_is_not_repeated(site: FileSite, open_store: Opener) -> None:
    site.statuses = [403]
    with pytest.raises(Unavailable, match="403") as caught:
        open_store().fetch(site.publish(CONTENT) + "?token=secret", SHA256)
    assert "secret" not in caught.value.message
    assert len(site.requests) == 1


def test_what_is_stored_is_not_fetched(site: FileSite, open_store: Opener) -> None:
    store = open_store()
    url = site.publish(CONTENT)
    store.fetch(url, SHA256)
    store.fetch(url, SHA256)
    assert len(site.requests) == 1


def test_many_ask_and_one_downloads(site: FileSite, tmp_path: Path) -> None:
    store = FilesystemArtefactStore(tmp_path / "artefacts")
    url = site.publish(CONTENT)
    threads = [threading.Thread(target=store.fetch, args=(url, SHA256)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert _stored(store) == CONTENT
    assert len(site.requests) == 1


def test_a_file_beyond_the_bound_is_refused_before_it_is_read(
    site: FileSite, open_store: Opener
) -> None:
    with pytest.raises(Unavailable, match="more than 1000 bytes"):
        open_store(bytes_max=1000).fetch(site.publish(CONTENT), SHA256)


def test_other_bytes_are_corrupted_and_not_kept(
    site: FileSite, open_store: Opener, tmp_path: Path
) -> None:
    with pytest.raises(Corrupted, match="has digest"):
        open_store().fetch(site.publish(b"other"), SHA256)
    assert not list((tmp_path / "downloads").glob("*.part"))


@pytest.mark.parametrize("url", ["ftp://x/y", "file:///etc/passwd", "model.onnx"])
def test_only_http_is_fetched(open_store: Opener, url: str) -> None:
    with pytest.raises(InvalidInput):
        open_store().fetch(url, SHA256)
