"""A real image registry on this machine, and a small image."""

import hashlib
import io
import json
import socket
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

START_S = 20.0


@pytest.fixture(scope="session")
def image_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield host:port of a registry that keeps no list of referrers."""
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: '{host}'}}\n"
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait(host, process)
            yield host
        finally:
            process.terminate()
            process.wait(10)


def _wait(host: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert process.poll() is None, "the registry ended"
        try:
            with urllib.request.urlopen(f"http://{host}/v2/", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("the registry does not answer")


@pytest.fixture
def saved_image(tmp_path: Path) -> Path:
    """Return a small image as an engine saves it."""
    return save_image(tmp_path / "image.tar", b"print('hello')\n")


def save_image(path: Path, content: bytes) -> Path:
    """Write an image of one file in the engine's own form."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as packed:
        member = tarfile.TarInfo("app/main.py")
        member.size = len(content)
        packed.addfile(member, io.BytesIO(content))
    data = layer.getvalue()
    config = json.dumps(
        {
            "architecture": "amd64", "os": "linux", "config": {"User": "10001"},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest()]},
        }
    ).encode()  # fmt: skip
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["x:y"], "Layers": ["a/layer.tar"]}])
    with tarfile.open(path, "w") as packed:
        for file, held in (
            (name, config),
            ("a/layer.tar", data),
            ("manifest.json", manifest.encode()),
        ):
            member = tarfile.TarInfo(file)
            member.size = len(held)
            packed.addfile(member, io.BytesIO(held))
    return path
