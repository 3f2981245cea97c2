"""Fetch the uv that uv.lock names with the standard library alone.

For machines whose Python has neither pip nor ensurepip. The digest in uv.lock is checked.
"""

import hashlib
import io
import os
import platform
import sys
import tomllib
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parent.parent / "uv.lock"
TIMEOUT_S = 60.0


def locked() -> dict[str, Any]:
    """Return uv's own entry in the lock."""
    packages = tomllib.loads(LOCK.read_text())["package"]
    return next(package for package in packages if package["name"] == "uv")


def choose(wheels: list[dict[str, str]]) -> dict[str, str]:
    """Return the wheel for this system and processor."""
    libc = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    system = {"Linux": libc, "Darwin": "macosx"}.get(platform.system(), platform.system())
    ending = f"_{platform.machine()}"
    for wheel in wheels:
        tags = wheel["url"].removesuffix(".whl").rsplit("-", 1)[1].split(".")
        if any(tag.startswith(system) and tag.endswith(ending) for tag in tags):
            return wheel
    raise SystemExit(f"uv.lock names no uv for {platform.system()} on {platform.machine()}")


def fetch(wheel: dict[str, str]) -> bytes:
    """Download a wheel and check it against the lock."""
    try:
        with urllib.request.urlopen(wheel["url"], timeout=TIMEOUT_S) as answer:
            content: bytes = answer.read()
    except OSError as error:
        raise SystemExit(f"{wheel['url']} could not be fetched: {error}") from error
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if digest != wheel["hash"]:
        raise SystemExit(f"{wheel['url']} has {digest}, but uv.lock says {wheel['hash']}")
    return content


def unpack(content: bytes, folder: Path) -> None:
    """Put the ``uv`` program of a wheel into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        aside = folder / f"uv.{os.getpid()}"
        aside.write_bytes(archive.read(name))
    aside.chmod(0o755)
    aside.rename(folder / "uv")


def main(argument: str) -> None:
    """Print the locked version, or put the program into the folder given."""
    package = locked()
    if argument == "--version":
        print(package["version"])
        return
    unpack(fetch(choose(package["wheels"])), Path(argument))


if __name__ == "__main__":
    main(sys.argv[1])
