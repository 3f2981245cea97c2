"""Bundles: a release leaves one site and arrives at another, whole and unaltered or not at all."""

import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any, ClassVar

import pytest

from prometheus_ai.adapters.registries.oci import OciBundles, open_layout, seal_bundle
from prometheus_ai.adapters.signers.ecdsa import EcdsaSigner, PemKey, create_key
from prometheus_ai.domain.errors import Conflict, Corrupted, InvalidInput, PlatformError, Refused
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.image import BuildPlan
from prometheus_ai.domain.release import Artefact
from prometheus_ai.gates import DEFAULT_POLICY, SEAL_PREDICATE
from prometheus_ai.ports.driver import ReplicaOrder
from prometheus_ai.testing.fake_driver import FakeDriver
from tests.e2e.registry.conftest import save_image
from tests.scenario.conftest import ASKER, Line
from tests.scenario.test_evidence import attest, demanding
from tests.scenario.test_gate import Gated

PRIVATE, PUBLIC = create_key(None)
SIGNER = EcdsaSigner(PemKey(PRIVATE))


class Engine:
    """Keeps images, and gives them away as files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.images: dict[str, Path] = {}

    def make(self) -> str:
        path = save_image(self.folder / "image.tar", b"print('digits')\n")
        with open_layout(path) as layout:
            image = layout.image.blobs[0][0]
        self.images[image] = path
        return image

    def save(self, reference: str, path: Path) -> str:
        image = reference if reference in self.images else next(iter(self.images))
        path.write_bytes(self.images[image].read_bytes())
        return image

    def load(self, path: Path, image: str) -> None:
        copy = self.folder / "loaded.tar"
        copy.write_bytes(path.read_bytes())
        self.images[image] = copy

    def has(self, image: str) -> bool:
        return image in self.images

    def find(self, plan: BuildPlan) -> str | None:
        raise AssertionError(plan)


class Site:
    """A control plane with a gate and an engine."""

    def __init__(self, folder: Path) -> None:
        self.line = Line(folder / "line")
        self.gated = Gated(self.line, folder / "gate")
        self.engine = Engine(folder / "engine")
        assert self.line.plane.gate is not None
        self.line.plane.gate.bundles = OciBundles()
        self.line.plane.builders = {"local": self.engine}  # type: ignore[dict-item]

    def export(self, folder: Path, *, sealed: bool = True) -> Path:
        found = self.line.control.export_bundle("digits", None, (), ASKER)
        path = folder / "digits.pai.tar"
        path.write_bytes(b"".join(self.line.control.read_artefact(found.digest)))
        if sealed:
            seal_bundle(path, lambda digest: SIGNER.sign(digest, "b", SEAL_PREDICATE, b"{}"))
        return path

    def take_in(self, path: Path, *, unsealed: bool = False) -> Any:
        digest = self.line.artefacts.put_stream([path.read_bytes()], expected=None)
        bundle = Artefact(digest=digest, name="bundle.tar", size_bytes=0)
        return self.line.control.import_bundle(bundle, ASKER, unsealed=unsealed)

    def untouched(self) -> bool:
        """Whether nothing of a release, an image or a statement is here."""
        settings = [one for one in self.line.store.describe() if "import" in str(one)]
        return not self.line.control.status().backends and not self.engine.images and not settings


@pytest.fixture
def here(tmp_path: Path) -> Site:
    """Return a site where digits runs, attested and signed."""
    site = Site(tmp_path / "here")
    site.engine.make()
    site.gated.deploy(pickle.dumps({"weights": [1.0]}))
    site.line.run()
    attest(site.gated, SIGNER)
    return site


@pytest.fixture
def there(tmp_path: Path) -> Site:
    """Return a site that knows the key and demands all statements."""
    site = Site(tmp_path / "there")
    site.gated.text = demanding(PUBLIC, "provenance, sbom, scan, decision")
    return site


def test_a_release_runs_at_a_site_that_demands_every_statement(
    here: Site, there: Site, tmp_path: Path
) -> None:
    found = there.take_in(here.export(tmp_path))
    assert (found.version, found.sealed_by, found.is_new) == ("v1", "release", True)
    there.line.run()
    assert there.line.phases() == {"v1": "ready"}
    assert list(there.engine.images) == list(here.engine.images)
    own = here.line.control.releases("digits")[0]
    assert there.line.control.releases("digits")[0].digest == own.digest
    assert there.gated.kinds().count(Kind.BUNDLE_IMPORTED) == 1
    assert not there.take_in(tmp_path / "digits.pai.tar").is_new


def test_a_bundle_without_a_seal_of_a_known_key_is_refused_unless_asked_for(
    here: Site, there: Site, tmp_path: Path
) -> None:
    path = here.export(tmp_path, sealed=False)
    with pytest.raises(Refused, match="no seal"):
        there.take_in(path)
    assert there.untouched()
    stranger = EcdsaSigner(PemKey(create_key(None)[0]))
    seal_bundle(path, lambda digest: stranger.sign(digest, "b", SEAL_PREDICATE, b"{}"))
    with pytest.raises(Refused, match="no key of the policy"):
        there.take_in(path)
    assert there.take_in(path, unsealed=True).sealed_by == ""
    with pytest.raises(Conflict):
        seal_bundle(path, lambda digest: SIGNER.sign(digest, "b", SEAL_PREDICATE, b"{}"))


def test_a_seal_over_another_bundle_and_a_signature_that_is_no_seal_do_not_count(
    here: Site, there: Site, tmp_path: Path
) -> None:
    path = here.export(tmp_path, sealed=False)
    seal_bundle(path, lambda _: SIGNER.sign("sha256:" + "0" * 64, "b", SEAL_PREDICATE, b"{}"))
    with pytest.raises(Refused):
        there.take_in(path)
    (tmp_path / "again").mkdir()
    path = here.export(tmp_path / "again", sealed=False)
    seal_bundle(path, lambda digest: SIGNER.sign(digest, "b", "https://cyclonedx.org/bom", b"{}"))
    with pytest.raises(Refused):
        there.take_in(path)
    assert there.untouched()


def test_no_altered_byte_is_taken_in(here: Site, there: Site, tmp_path: Path) -> None:
    """Wherever a byte of the file's content is changed, nothing of the bundle arrives."""
    path = here.export(tmp_path)
    whole = path.read_bytes()
    with tarfile.open(path) as packed:
        spots = [(one.name, one.offset_data + one.size // 2) for one in packed if one.size]
    for name, spot in spots:
        path.write_bytes(whole[:spot] + bytes([whole[spot] ^ 1]) + whole[spot + 1 :])
        with pytest.raises(PlatformError):
            pytest.fail(f"{name} is taken in: {there.take_in(path)}")
        assert there.untouched(), name


def _rewritten(path: Path, change: Any) -> None:
    with tarfile.open(path) as packed:
        members = [(one.name, packed.extractfile(one).read()) for one in packed]  # type: ignore[union-attr]
    with tarfile.open(path, "w") as packed:
        for name, data in change(members):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize(
    "name", ["evil.sh", "../../escape", "blobs/sha256/" + "0" * 64, "index.json"]
)
def test_members_that_no_part_names_are_refused(
    here: Site, there: Site, tmp_path: Path, name: str
) -> None:
    path = here.export(tmp_path)
    _rewritten(path, lambda members: [*members, (name, b"{}")])
    with pytest.raises((Corrupted, InvalidInput)):
        there.take_in(path)
    assert there.untouched()


def test_an_engine_file_that_names_another_image_is_refused(
    here: Site, there: Site, tmp_path: Path
) -> None:
    path = here.export(tmp_path)

    def change(members: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        other = json.dumps(
            [{"Config": "x", "RepoTags": ["python:3.11-slim"], "Layers": []}]
        ).encode()
        return [(name, other if name == "manifest.json" else data) for name, data in members]

    _rewritten(path, change)
    with pytest.raises(Corrupted, match="manifest"):
        there.take_in(path)


def test_a_version_that_exists_with_other_content_is_a_conflict(
    here: Site, there: Site, tmp_path: Path
) -> None:
    there.gated.text = DEFAULT_POLICY
    there.engine.make()
    there.gated.deploy(pickle.dumps({"weights": [2.0]}))
    with pytest.raises(Conflict):
        there.take_in(here.export(tmp_path), unsealed=True)


def test_a_poisoned_model_does_not_arrive_as_a_release(
    here: Site, there: Site, tmp_path: Path
) -> None:
    there.gated.text = demanding(PUBLIC).replace(
        "attestations:", "model_files: {pickle: never}\n    attestations:"
    )
    with pytest.raises(Refused):
        there.take_in(here.export(tmp_path))
    assert there.untouched()


class Watched(FakeDriver):
    """Remembers which image each start was told to run."""

    images: ClassVar[list[str]] = []

    def start(self, order: ReplicaOrder) -> None:
        self.images.append(order.image)
        super().start(order)


def test_what_starts_is_the_image_that_was_looked_into_whatever_tags_say_meanwhile(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path / "here")
    driver = Watched(site.line.clock, site.line.target)
    site.line.plane.drivers = {"local": driver}
    driver.images.clear()
    judged = site.engine.make()
    site.gated.deploy(pickle.dumps([1]))
    site.line.run()
    # Somebody moves the tag: the engine would now give another image under it.
    site.engine.images = {"sha256:" + "e" * 64: site.engine.images[judged], **site.engine.images}
    site.line.control.scale("digits", 2, None, ASKER)
    site.line.run()
    assert driver.images == [judged, judged]


def test_an_image_that_was_never_looked_into_does_not_start(tmp_path: Path) -> None:
    site = Site(tmp_path / "here")
    site.engine.make()
    site.gated.deploy(pickle.dumps([1]))
    site.line.run()
    with site.line.store.write() as tx:
        tx.put_setting("image-evidence/digits/v1", "")
    site.line.control.scale("digits", 2, None, ASKER)
    site.line.run()
    assert site.line.served() == {"v1": 1}
