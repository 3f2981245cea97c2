"""Images at a real image registry: pushed, signed, pulled, verified; and what must not verify."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from prometheus_ai.cli.main import main
from prometheus_ai.compose.distribution import pull_image, push_image, sign_image, verify_image
from prometheus_ai.compose.signing import make_key
from prometheus_ai.domain.errors import Refused
from tests.e2e.registry.conftest import save_image

pytestmark = [pytest.mark.e2e, pytest.mark.requires("docker-registry")]
MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"


def _say(_line: str) -> None:
    pass


@pytest.fixture
def keys(tmp_path: Path) -> tuple[str, Path, Path]:
    """Return a private key, its public half, and a stranger's public half."""
    own, stranger = tmp_path / "release.pub", tmp_path / "stranger.pub"
    own.write_text(make_key(tmp_path / "release.pem"))
    stranger.write_text(make_key(tmp_path / "stranger.pem"))
    return str(tmp_path / "release.pem"), own, stranger


def _get(host: str, path: str) -> dict[str, object]:
    request = urllib.request.Request(f"http://{host}/v2/{path}", headers={"accept": MANIFESTS})
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def test_an_image_is_pushed_signed_in_both_forms_and_pulled(
    image_host: str, saved_image: Path, keys: tuple[str, Path, Path], tmp_path: Path
) -> None:
    private, public, stranger = keys
    name = f"{image_host}/digits"
    pushed = push_image(saved_image, f"{name}:v1", _say)
    assert not verify_image(f"{name}:v1", (public,)).is_signed
    found = sign_image(pushed, private)
    assert [one.key for one in (*found.bundles, *found.older)] == ["key", "key"]

    hexes = found.digest.replace(":", "-")
    listed = _get(image_host, f"digits/manifests/{hexes}")["manifests"]
    assert isinstance(listed, list)
    referrer = _get(image_host, f"digits/manifests/{listed[0]['digest']}")
    manifest = _get(image_host, "digits/manifests/v1")
    assert referrer["subject"]["digest"] == found.digest  # type: ignore[index]
    assert referrer["subject"]["size"] > len(json.dumps(manifest, separators=(",", ":"))) / 2  # type: ignore[index]
    assert _get(image_host, f"digits/manifests/{hexes}.sig")["layers"]

    assert verify_image(f"{name}:v1", (stranger, public)).key == "release.pub"
    assert not verify_image(f"{name}:v1", (stranger,)).is_signed
    assert pull_image(f"{name}:v1", tmp_path / "back.tar", (public,), _say) == pushed
    # What came back is pushed again as it is, attestations included.
    assert push_image(tmp_path / "back.tar", f"{name}-copy:v1", _say).endswith(found.digest)
    assert verify_image(f"{name}-copy:v1", (public,)).bundles[0].key == "release.pub"


def test_a_tag_that_was_moved_to_another_image_is_refused(
    image_host: str, saved_image: Path, keys: tuple[str, Path, Path], tmp_path: Path
) -> None:
    private, public, _ = keys
    name = f"{image_host}/swapped"
    sign_image(push_image(saved_image, f"{name}:v1", _say), private)
    other = save_image(tmp_path / "other.tar", b"print('evil')\n")
    push_image(other, f"{name}:v1", _say)
    with pytest.raises(Refused):
        pull_image(f"{name}:v1", tmp_path / "back.tar", (public,), _say)
    assert not (tmp_path / "back.tar").exists()


def test_signing_twice_adds_and_never_replaces(
    image_host: str, saved_image: Path, keys: tuple[str, Path, Path], tmp_path: Path
) -> None:
    private, public, stranger = keys
    pushed = push_image(saved_image, f"{image_host}/twice:v1", _say)
    sign_image(pushed, private)
    sign_image(pushed, str(tmp_path / "stranger.pem"))
    found = verify_image(pushed, (public, stranger))
    assert {one.key for one in found.bundles} == {"release.pub", "stranger.pub"}
    assert {one.key for one in found.older} == {"release.pub", "stranger.pub"}


def _told(*words: str) -> Any:
    """Return what a command says as JSON on standard output, where nothing else may stand."""
    done = CliRunner().invoke(main, ["image", *words, "--json"], prog_name="pai")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_what_is_pushed_signed_and_pulled_is_told_as_json(
    image_host: str, saved_image: Path, keys: tuple[str, Path, Path], tmp_path: Path
) -> None:
    private, public, _ = keys
    place = f"{image_host}/told:v1"
    pushed = _told("push", str(saved_image), place)
    name, _, digest = pushed["image"].partition("@")
    assert (name, pushed["is_signed"]) == (f"{image_host}/told", False)
    signed = _told("sign", place, "--key", private)
    assert (signed["digest"], signed["is_signed"]) == (digest, True)
    assert len(signed["bundles"]) == len(signed["older"]) == 1
    plain, verified = (str(tmp_path / name) for name in ("plain.tar", "verified.tar"))
    assert _told("pull", place, "--out", plain) == {
        "image": pushed["image"], "file": plain, "is_signed": None
    }  # fmt: skip
    assert _told("pull", place, "--out", verified, "--public-key", str(public)) == {
        "image": pushed["image"], "file": verified, "is_signed": True
    }  # fmt: skip
    again = _told("push", verified, f"{image_host}/told-copy:v1", "--key", private)
    assert again == {"image": f"{image_host}/told-copy@{digest}", "is_signed": True}
