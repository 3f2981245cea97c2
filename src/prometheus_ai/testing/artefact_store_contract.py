"""What every ArtefactStore must do. Subclass in a test module and give the fixtures.

``store`` is the store, ``publish`` puts bytes behind a URL, ``damage`` changes stored bytes behind its back.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from prometheus_ai.domain.errors import Corrupted, InvalidInput, NotFound, Unavailable
from prometheus_ai.domain.release import Artefact
from prometheus_ai.ports.artefact_store import ArtefactStore

ABSENT = f"sha256:{'0' * 64}"


def digest_of(content: bytes) -> str:
    """Return the digest that a store gives to these bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class ArtefactStoreContract:
    """The promises of the port, one behaviour a test."""

    def test_a_new_store_is_empty(self, store: ArtefactStore) -> None:
        assert list(store.digests()) == []
        assert not store.has(ABSENT)

    def test_bytes_come_back_under_their_digest(self, store: ArtefactStore) -> None:
        digest = store.put_stream([b"one", b"", b"two"], expected=None)
        assert digest == digest_of(b"onetwo")
        assert store.has(digest)
        assert b"".join(store.read(digest)) == b"onetwo"
        assert store.size_bytes(digest) == 6
        assert list(store.digests()) == [digest]

    def test_no_bytes_are_an_artefact_too(self, store: ArtefactStore) -> None:
        digest = store.put_stream([], expected=digest_of(b""))
        assert store.size_bytes(digest) == 0

    def test_other_bytes_than_expected_are_not_kept(self, store: ArtefactStore) -> None:
        with pytest.raises(Corrupted):
            store.put_stream([b"one"], expected=digest_of(b"two"))
        assert list(store.digests()) == []

    def test_a_stream_that_breaks_leaves_nothing(self, store: ArtefactStore) -> None:
        def broken() -> Iterator[bytes]:
            yield b"half"
            raise ConnectionResetError("the client went away")

        with pytest.raises(ConnectionResetError):
            store.put_stream(broken(), expected=None)
        assert list(store.digests()) == []

    def test_the_same_bytes_may_come_from_many_at_once(self, store: ArtefactStore) -> None:
        content = b"weights" * 10_000
        with ThreadPoolExecutor(8) as pool:
            puts = [pool.submit(store.put_stream, [content], expected=None) for _ in range(16)]
            assert {put.result() for put in puts} == {digest_of(content)}
        assert b"".join(store.read(digest_of(content))) == content

    def test_a_file_is_opened_under_its_own_name(self, store: ArtefactStore) -> None:
        digest = store.put_stream([b"model"], expected=None)
        path = store.open_path(Artefact(digest=digest, name="digits.onnx", size_bytes=5))
        assert path.name == "digits.onnx"
        assert path.read_bytes() == b"model"

    def test_one_digest_may_have_several_names(self, store: ArtefactStore) -> None:
        digest = store.put_stream([b"model"], expected=None)
        names = ["a.onnx", "b.onnx", "a.onnx"]
        paths = [
            store.open_path(Artefact(digest=digest, name=name, size_bytes=5)) for name in names
        ]
        assert [path.read_bytes() for path in paths] == [b"model"] * 3
        assert paths[0] == paths[2] != paths[1]

    def test_a_tree_is_opened_as_a_folder(self, store: ArtefactStore) -> None:
        one = store.put_stream([b"weights"], expected=None)
        two = store.put_stream([b"{}"], expected=None)
        digest = store.put_tree({"model.bin": one, "conf/a.json": two, "conf/b.json": two})
        assert store.size_bytes(digest) == len(b"weights") + 2 * len(b"{}")
        path = store.open_path(Artefact(digest=digest, name="bert", size_bytes=11, is_tree=True))
        assert path.name == "bert"
        files = {p.relative_to(path).as_posix(): p for p in path.rglob("*") if p.is_file()}
        assert files.keys() == {"model.bin", "conf/a.json", "conf/b.json"}
        assert files["conf/b.json"].read_bytes() == b"{}"

    def test_a_tree_has_one_digest_whatever_the_order(self, store: ArtefactStore) -> None:
        one = store.put_stream([b"1"], expected=None)
        two = store.put_stream([b"2"], expected=None)
        assert store.put_tree({"a": one, "b": two}) == store.put_tree({"b": two, "a": one})
        assert store.put_tree({"a": one, "b": two}) != store.put_tree({"a": two, "b": one})

    @pytest.mark.parametrize(
        "name", ["/etc/passwd", "../up", "a/../../up", "", ".", "a//b", "a/./b", "a/"]
    )
    def test_a_tree_takes_only_plain_paths(self, store: ArtefactStore, name: str) -> None:
        digest = store.put_stream([b"x"], expected=None)
        with pytest.raises(InvalidInput):
            store.put_tree({name: digest})

    def test_a_tree_takes_only_what_is_stored(self, store: ArtefactStore) -> None:
        with pytest.raises(InvalidInput, match="not stored"):
            store.put_tree({"a": ABSENT})

    def test_a_path_is_not_both_file_and_folder(self, store: ArtefactStore) -> None:
        digest = store.put_stream([b"x"], expected=None)
        with pytest.raises(InvalidInput):
            store.put_tree({"a": digest, "a/b": digest})

    def test_what_is_not_stored_is_not_found(self, store: ArtefactStore) -> None:
        with pytest.raises(NotFound):
            store.open_path(Artefact(digest=ABSENT, name="x", size_bytes=0))
        with pytest.raises(NotFound):
            store.size_bytes(ABSENT)
        with pytest.raises(NotFound):
            list(store.read(ABSENT))
        assert store.delete(ABSENT) == 0

    def test_changed_bytes_are_noticed_before_use(
        self, store: ArtefactStore, damage: Callable[[str], None]
    ) -> None:
        digest = store.put_stream([b"model"], expected=None)
        artefact = Artefact(digest=digest, name="m", size_bytes=5)
        store.open_path(artefact)
        damage(digest)
        with pytest.raises(Corrupted):
            store.open_path(artefact)

    def test_changed_bytes_inside_a_tree_are_noticed(
        self, store: ArtefactStore, damage: Callable[[str], None]
    ) -> None:
        part = store.put_stream([b"model"], expected=None)
        artefact = Artefact(
            digest=store.put_tree({"m": part}), name="t", size_bytes=5, is_tree=True
        )
        store.open_path(artefact)
        damage(part)
        with pytest.raises(Corrupted):
            store.open_path(artefact)

    def test_putting_damaged_bytes_again_heals_them(
        self, store: ArtefactStore, damage: Callable[[str], None]
    ) -> None:
        digest = store.put_stream([b"model"], expected=None)
        artefact = Artefact(digest=digest, name="m", size_bytes=5)
        store.open_path(artefact)
        damage(digest)
        store.put_stream([b"model"], expected=digest)
        assert store.open_path(artefact).read_bytes() == b"model"

    def test_a_deleted_digest_is_gone(self, store: ArtefactStore) -> None:
        digest = store.put_stream([b"model"], expected=None)
        store.open_path(Artefact(digest=digest, name="m", size_bytes=5))
        assert store.delete(digest) == 5
        assert not store.has(digest)
        assert list(store.digests()) == []

    def test_a_url_is_fetched_once(
        self, store: ArtefactStore, publish: Callable[[bytes], str]
    ) -> None:
        content = b"weights" * 1000
        url = publish(content)
        digest = store.fetch(url, digest_of(content).removeprefix("sha256:"))
        assert digest == digest_of(content)
        assert b"".join(store.read(digest)) == content

    def test_fetched_bytes_must_have_the_digest(
        self, store: ArtefactStore, publish: Callable[[bytes], str]
    ) -> None:
        with pytest.raises(Corrupted):
            store.fetch(publish(b"other"), digest_of(b"weights").removeprefix("sha256:"))
        assert list(store.digests()) == []

    def test_an_unknown_address_is_unavailable(
        self, store: ArtefactStore, publish: Callable[[bytes], str]
    ) -> None:
        with pytest.raises(Unavailable):
            store.fetch(f"{publish(b'x')}-not-there", "0" * 64)
