"""Images: packages with their owners, credentials in any layer, model files, forms of saved images."""

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from prometheus_ai.adapters.scanners.images import LayeredImageScanner, write_cyclonedx
from prometheus_ai.adapters.scanners.images.secrets import secrets_in
from prometheus_ai.adapters.scanners.model_files import ModelFileScanner
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.gate import ImageScan
from prometheus_ai.domain.image import LABEL_BASE_MADE
from tests.unit.scanners.poison import call

SITE = "opt/venv/lib/python3.11/site-packages"
# Put together here, so that no scanner takes this file for a leak.
TOKEN = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
STATUS = """Package: libssl3
Status: install ok installed
Source: openssl (3.0.11-1)
Version: 3.0.11-1~deb12u2
Architecture: amd64

Package: gone
Status: deinstall ok config-files
Version: 1.0

"""


def record_of(files: dict[str, bytes]) -> bytes:
    lines = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for name, data in files.items()
    ]
    return "\n".join(lines).encode()


INSTALLED = {"demo/settings.py": f'TOKEN = "{TOKEN}"\n'.encode()}
BASE = {
    "etc/os-release": b'ID=debian\nVERSION_ID="12"\n',
    "var/lib/dpkg/status": STATUS.encode(),
    "var/lib/dpkg/info/python3-yaml.list": b"/usr/lib/python3/dist-packages/PyYAML-6.0.dist-info/METADATA\n",
    "usr/lib/python3/dist-packages/PyYAML-6.0.dist-info/METADATA": b"Name: PyYAML\nVersion: 6.0\n\n",
}
APP = {
    f"{SITE}/demo/settings.py": INSTALLED["demo/settings.py"],
    f"{SITE}/demo-1.0.dist-info/METADATA": b"Name: demo\nVersion: 1.0\nLicense: MIT\n\n",
    f"{SITE}/demo-1.0.dist-info/RECORD": record_of(INSTALLED),
    f"{SITE}/numpy.libs/libopenblas64_p-r0-0cf96a72.3.23.so": b"\x7fELF",
    "app/.env": f"GITHUB={TOKEN}\n".encode(),
    "app/model.pkl": call("os.system", "id"),
}
REMOVED = {"app/.wh..env": b""}


def layer(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def archive(path: Path, layers: list[bytes], config: dict[str, Any] | None = None) -> Path:
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "abc.json", "Layers": names}]
    described = {
        "rootfs": {"diff_ids": [f"sha256:{n}" for n in range(len(layers))]},
        **(config or {}),
    }
    path.write_bytes(
        layer(
            {
                "manifest.json": json.dumps(manifest).encode(),
                "abc.json": json.dumps(described).encode(),
                **dict(zip(names, layers, strict=True)),
            }
        )
    )
    return path


def layout(path: Path, layers: list[bytes], pack: Callable[[bytes], bytes] = gzip.compress) -> Path:
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes) -> dict[str, Any]:
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"digest": f"sha256:{name}", "size": len(data)}

    packed = [put(pack(one)) for one in layers]
    manifest = put(json.dumps({"config": put(b"{}"), "layers": packed}).encode())
    (path / "index.json").write_text(json.dumps({"manifests": [manifest]}))
    return path


def zstd_in_pieces(data: bytes) -> bytes:
    """Compress into two frames and one to be skipped, as images that are fetched piece by piece have them."""
    skipped = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"toc!"
    half = len(data) // 2
    return zstd.compress(data[:half]) + zstd.compress(data[half:]) + skipped


def scan(path: Path) -> ImageScan:
    return LayeredImageScanner(ModelFileScanner().scan).scan(path)


@pytest.fixture
def image(tmp_path: Path) -> ImageScan:
    return scan(archive(tmp_path / "image.tar", [layer(BASE), layer(APP), layer(REMOVED)]))


def test_packages_of_all_kinds_are_found_with_source_and_owner(image: ImageScan) -> None:
    found = {one.name: one for one in image.sbom.components}
    assert set(found) == {"libssl3", "PyYAML", "demo", "openblas64_p-r0", "model.pkl"}
    openssl = found["libssl3"]
    assert (openssl.ecosystem, openssl.source, openssl.source_version) == (
        "Debian:12", "openssl", "3.0.11-1",
    )  # fmt: skip
    assert found["PyYAML"].owner == "python3-yaml"
    assert (found["demo"].owner, found["demo"].licences) == ("", ("MIT",))
    assert found["demo"].layer == "sha256:1"


def test_a_credential_in_a_deleted_file_is_found_and_blotted_out(image: ImageScan) -> None:
    (secret,) = image.secrets
    assert (secret.rule, secret.file, secret.line) == ("github-token", "app/.env", 1)
    assert TOKEN not in secret.excerpt


def test_a_file_that_differs_from_its_record_is_searched(tmp_path: Path) -> None:
    changed = {**APP, f"{SITE}/demo/settings.py": INSTALLED["demo/settings.py"] + b"# edited\n"}
    found = scan(archive(tmp_path / "image.tar", [layer(changed)]))
    assert f"{SITE}/demo/settings.py" in {one.file for one in found.secrets}


def test_model_files_in_an_image_are_scanned(image: ImageScan) -> None:
    (model,) = image.models
    assert not model.is_clean


def test_credentials_in_environment_and_history_are_found(tmp_path: Path) -> None:
    config = {
        "config": {"Env": [f"TOKEN={TOKEN}"], "User": "10001"},
        "history": [{"created_by": f"ARG KEY={TOKEN}"}],
    }
    found = scan(archive(tmp_path / "image.tar", [layer(BASE)], config))
    assert {one.file for one in found.secrets} == {
        "(environment of the image)",
        "(history, step 1)",
    }
    assert found.user == "10001"


def test_every_form_of_a_saved_image_gives_the_same_packages(tmp_path: Path) -> None:
    layers = [layer(BASE), layer(APP)]
    root = tmp_path / "root"
    for name, data in {**BASE, **APP}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    flat = tmp_path / "root.tar"
    flat.write_bytes(layer({**BASE, **APP}))
    packed = tmp_path / "a.tar.zst"
    packed.write_bytes(zstd.compress(archive(tmp_path / "plain.tar", layers).read_bytes()))
    seen = [
        sorted(one.purl for one in scan(path).sbom.components)
        for path in (
            archive(tmp_path / "a.tar", layers),
            layout(tmp_path / "oci", layers),
            layout(tmp_path / "zstd", layers, zstd_in_pieces),
            packed,
            root,
            flat,
        )
    ]
    assert all(one == seen[0] for one in seen)


@pytest.mark.parametrize("name", ["weights.bin", "notes.txt", "data", "model.dat"])
def test_a_pickle_in_an_image_is_looked_into_whatever_its_name(tmp_path: Path, name: str) -> None:
    found = scan(
        archive(tmp_path / "image.tar", [layer({f"opt/app/{name}": APP["app/model.pkl"]})])
    )
    (model,) = found.models
    assert not model.is_clean
    assert "system" in model.findings[0].message


@pytest.mark.parametrize(
    ("label", "year"),
    [("2026-01-02T03:04:05.123456789Z", 2026), ("1970-01-01T00:00:00Z", 0), ("soon", 0), (None, 0)],
)
def test_the_age_of_the_base_is_read_from_its_label(
    tmp_path: Path, label: str | None, year: int
) -> None:
    config = {"config": {"Labels": {LABEL_BASE_MADE: label} if label else None}}
    found = scan(archive(tmp_path / "image.tar", [layer(BASE)], config)).base_made_at
    assert (found.year if found else 0) == year


def test_a_damaged_image_is_an_error(tmp_path: Path) -> None:
    whole = archive(tmp_path / "image.tar", [layer(BASE)]).read_bytes()
    (tmp_path / "half.tar").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text").write_text("no image")
    (tmp_path / "half.tar.zst").write_bytes(zstd.compress(whole)[:-9])
    (tmp_path / "noise.zst").write_bytes(zstd.compress(b"")[:4] + b"\xff" * 64)
    for name in ("half.tar", "text", "half.tar.zst", "noise.zst"):
        with pytest.raises(InvalidInput):
            scan(tmp_path / name)


def test_apk_packages_are_found(tmp_path: Path) -> None:
    files = {
        "etc/os-release": b"ID=alpine\nVERSION_ID=3.20.1\n",
        "lib/apk/db/installed": b"P:musl\nV:1.2.5-r0\nA:x86_64\no:musl\nL:MIT\n\n",
    }
    (one,) = scan(archive(tmp_path / "image.tar", [layer(files)])).sbom.components
    assert (one.name, one.version, one.ecosystem) == ("musl", "1.2.5-r0", "Alpine:v3.20")


@pytest.mark.parametrize(
    "line",
    [
        "AWS_ACCESS_KEY_ID=AKIA" + "ABCDEFGH23456723",
        'aws_secret_access_key = "' + "wJalrXUtnFEMI7K7MDENGbPxRfiCYq9zKEYa3d" + '"',
        "token: hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567",
        "url = postgres://app:" + "s3cretPass9@db.internal-host/app",
        "slack=xoxb-" + "123456789012-abcdefGHIJ",
        "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA" * 6,
    ],
)
def test_credentials_are_recognised(line: str) -> None:
    assert list(secrets_in(line.encode(), "file"))


@pytest.mark.parametrize(
    "line",
    [
        "password = os.environ['PASSWORD']",
        "api_key: ${API_KEY}",
        "token = 'your_token_goes_here_1234567890'",
        "TOKEN_URL = 'https://example.org/token'",
        "key = get_secret('database-password-production')",
        "secret_key_base: CHANGEME_CHANGEME_CHANGEME",
        "max_token_count = 10000000000000000",
    ],
)
def test_what_only_speaks_of_credentials_is_none(line: str) -> None:
    assert not list(secrets_in(line.encode(), "file"))


def test_the_list_of_packages_is_valid_cyclonedx(image: ImageScan) -> None:
    data = write_cyclonedx(image.sbom, "demo", "2026-01-01T00:00:00+00:00")
    assert data == write_cyclonedx(image.sbom, "demo", "2026-01-01T00:00:00+00:00")
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    checked = validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(data.decode())
    assert checked is None, checked
