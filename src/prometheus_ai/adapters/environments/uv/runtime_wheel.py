"""The model server as a wheel, packed from what is installed beside the platform."""

import base64
import csv
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from prometheus_ai.domain.errors import Unavailable

DISTRIBUTION = "prometheus-ai-runtime"
PACKAGE = "prometheus_ai_runtime"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_WHEEL = "Wheel-Version: 1.0\nGenerator: prometheus-ai\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeWheel:
    """The bytes of a wheel and who it is. Equal content gives equal bytes."""

    version: str
    content: bytes
    metadata: str

    @property
    def hex(self) -> str:
        """The SHA-256 of the wheel."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def id(self) -> str:
        """``<version>+sha256:<hex>``."""
        return f"{self.version}+sha256:{self.hex}"

    @property
    def filename(self) -> str:
        """The name that installers read version and platform from."""
        return f"{PACKAGE}-{self.version}-py3-none-any.whl"


def pack_runtime() -> RuntimeWheel:
    """Pack the installed model server, whether it was installed as a wheel or as an editable source.

    Raises:
        Unavailable: it is not installed beside the platform.
    """
    try:
        installed = distribution(DISTRIBUTION)
    except PackageNotFoundError as error:
        raise _missing() from error
    metadata = installed.read_text("METADATA")
    spec = find_spec(PACKAGE)
    if metadata is None or spec is None or spec.origin is None:
        raise _missing()
    package = Path(spec.origin).parent
    info = f"{PACKAGE}-{installed.version}.dist-info"
    files = {
        f"{PACKAGE}/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    files[f"{info}/METADATA"] = metadata.encode()
    files[f"{info}/WHEEL"] = _WHEEL.encode()
    files[f"{info}/entry_points.txt"] = (installed.read_text("entry_points.txt") or "").encode()
    files.update(_licences(installed, info))
    return RuntimeWheel(
        version=installed.version, content=_zip(files, f"{info}/RECORD"), metadata=metadata
    )


def is_editable() -> bool:
    """Whether the model server is installed from a source folder, so that its content may change."""
    try:
        direct = distribution(DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        return False
    return bool(direct and json.loads(direct).get("dir_info", {}).get("editable"))


def _licences(installed: Distribution, info: str) -> dict[str, bytes]:
    found = {}
    for entry in installed.files or ():
        if entry.parts[0] == info and "licenses" in entry.parts:
            found[entry.as_posix()] = Path(str(entry.locate())).read_bytes()
    return found


def _zip(files: dict[str, bytes], record: str) -> bytes:
    rows = io.StringIO(newline="")
    writer = csv.writer(rows, lineterminator="\n")
    for name in sorted(files):
        raw = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest())
        writer.writerow((name, f"sha256={raw.decode().rstrip('=')}", len(files[name])))
    writer.writerow((record, "", ""))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in [*sorted(files), record]:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_STORED  # compressors differ between machines
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files.get(name, rows.getvalue().encode()))
    return buffer.getvalue()


def _missing() -> Unavailable:
    return Unavailable(
        f"the model server ({DISTRIBUTION}) is not installed beside the platform",
        hint=f"pip install {DISTRIBUTION}",
    )
