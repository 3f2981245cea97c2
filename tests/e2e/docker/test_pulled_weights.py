"""Weights that are fetched and checked anew at every start, on real containers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from prometheus_ai.adapters.artefacts.filesystem.store import FilesystemArtefactStore
from prometheus_ai.adapters.drivers.docker.model_archive import ModelArchive, digest_of
from prometheus_ai.domain.errors import Corrupted
from prometheus_ai.domain.image import pulled_volume
from prometheus_ai.domain.release import Artefact
from prometheus_ai.domain.replica import ReplicaPhase
from prometheus_ai.testing.fake_driver import Behaviour
from tests.contract.docker_target import DockerTarget, docker


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DockerTarget]:
    made = DockerTarget(tmp_path, weights="pull")
    yield made
    made.close()


def volumes(target: DockerTarget) -> list[str]:
    return docker("volume", "ls", "--quiet", "--filter", f"name={target.home}").split()


@pytest.mark.e2e
@pytest.mark.requires("docker")
def test_a_replica_has_its_own_copy_for_as_long_as_it_lives(target: DockerTarget) -> None:
    target.driver.start(target.order("one", Behaviour()))
    target.until_phase("one", ReplicaPhase.READY)
    assert volumes(target) == [pulled_volume(target.home, "one")]
    target.driver.stop("one", 5)
    target.until_phase("one", ReplicaPhase.EXITED)
    target.driver.forget("one")
    assert volumes(target) == []


@pytest.mark.e2e
@pytest.mark.requires("docker")
def test_bytes_that_are_not_the_models_never_start(target: DockerTarget) -> None:
    order = target.order("two", Behaviour())
    order.model_path.write_text("something else")
    with pytest.raises(Corrupted, match="not what its digest says"):
        target.driver.start(order)
    assert volumes(target) == []


def test_a_folder_of_weights_is_checked_like_a_file(tmp_path: Path) -> None:
    store = FilesystemArtefactStore(tmp_path / "store")
    parts = {name: store.put_stream([name.encode()], expected=None) for name in ("b.bin", "in/a")}
    model = Artefact(digest=store.put_tree(parts), name="weights", size_bytes=9, is_tree=True)
    sent = ModelArchive(store.open_path(model), model.name)
    stream = b"".join(sent.chunks())
    assert sent.digest(model) == model.digest
    pieces = (stream[at : at + 700] for at in range(0, len(stream), 700))
    assert digest_of(pieces, model) == model.digest
    spoiled = stream.replace(b"in/a" + bytes(508), b"in/b" + bytes(508))
    assert digest_of(iter([spoiled]), model) != model.digest
    other = replace(model, is_tree=False)
    assert digest_of(iter([stream]), other) != model.digest
