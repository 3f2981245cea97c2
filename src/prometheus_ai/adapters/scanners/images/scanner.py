"""One image to its packages, credentials and model files."""

import contextlib
import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO

from prometheus_ai.adapters.scanners.images.cyclonedx import write_cyclonedx
from prometheus_ai.adapters.scanners.images.layers import (
    Layer,
    SavedImage,
    copy_out,
    files_of,
    open_image,
)
from prometheus_ai.adapters.scanners.images.packages import (
    Databases,
    bundled_library,
    components_of,
    is_database,
    recorded,
    rpm_of,
)
from prometheus_ai.adapters.scanners.images.secrets import FILE_BYTES_MAX, secrets_in
from prometheus_ai.domain.gate import (
    Component,
    ImageScan,
    ModelFinding,
    ModelScan,
    Sbom,
    SecretFinding,
)
from prometheus_ai.domain.image import LABEL_BASE_MADE

FIRST_YEAR = 2013
DATABASE_BYTES_MAX = 64 * 2**20
MODELS_MAX = 200
MODEL_ENDINGS = (
    ".pkl", ".pickle", ".joblib", ".skops", ".onnx", ".pt", ".pth", ".pt2", ".ckpt", ".safetensors",
    ".gguf", ".keras", ".h5", ".npz", ".ubj", ".dill", ".sav",
)  # fmt: skip
_HEAD_BYTES = 128
_PICKLE = re.compile(rb"\x80[\x02-\x05][\x80-\x95()\]}GJKMNXcq]")
_TORCH = re.compile(rb"PK\x03\x04.{26,100}/data\.pkl", re.DOTALL)
_PACKAGED = ("/site-packages/", "/dist-packages/", "usr/share/", "usr/lib/python3")
# Kinds of files that hold no credentials of a user's, and much of an image's bytes.
_DATA_ENDINGS = (
    ".so",
    ".pyc",
    ".a",
    ".o",
    ".png",
    ".jpg",
    ".gz",
    ".xz",
    ".zip",
    ".whl",
    ".mo",
    ".bin",
)

ScanModel = Callable[[Path, str], ModelScan]


class LayeredImageScanner:
    """Reads images layer by layer; ``scan_model`` looks into one model file."""

    def __init__(self, scan_model: ScanModel) -> None:
        self._scan_model = scan_model

    def scan(self, path: Path) -> ImageScan:
        """Look into a saved image."""
        with contextlib.ExitStack() as stack:
            image = open_image(path, stack)
            view = _View()
            for layer in image.layers:
                view.add(layer)
            databases = Databases(files=view.databases, layers=view.layer_of)
            known = recorded(databases)
            secrets = [*_config_secrets(image)]
            models: list[tuple[str, ModelScan]] = []
            for layer in image.layers:
                secrets += _layer_secrets(layer, known)
                models += self._models(layer)
            rpm, unread = rpm_of(databases)
            components = [*components_of(databases), *rpm, *view.libraries()]
            components += [_model_component(name, scan) for name, scan in models]
            return ImageScan(
                image=image.digest,
                sbom=Sbom(
                    subject=image.digest,
                    components=tuple(components),
                    files=len(view.paths),
                    unread=(*view.unread, *unread),
                ),
                secrets=tuple(secrets),
                models=tuple(scan for _, scan in models),
                layers=len(image.layers),
                bytes_total=view.bytes_total,
                user=str((image.config.get("config") or {}).get("User", "")),
                base_made_at=_base_made_at(image),
            )

    def write_sbom(self, sbom: Sbom, name: str, made_at: str) -> bytes:
        """Return a list of packages as CycloneDX 1.6 JSON."""
        return write_cyclonedx(sbom, name, made_at)

    def _models(self, layer: Layer) -> Iterator[tuple[str, ModelScan]]:
        count = 0
        for name, member in files_of(layer):
            if not member.isreg() or _is_packaged(name):
                continue
            source = layer.tar.extractfile(member)
            if source is None or not (name.endswith(MODEL_ENDINGS) or _may_be_pickle(source)):
                continue
            count += 1
            if count > MODELS_MAX:
                yield name, _unscanned(name, member.size)
                continue
            with tempfile.TemporaryDirectory(prefix="pai-model-") as folder:
                path = Path(folder) / PurePosixPath(name).name
                with path.open("wb") as target:
                    copy_out(source, target)
                with path.open("rb") as file:
                    digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
                yield name, self._scan_model(path, digest)


class _View:
    """What the layers show together: later ones replace and remove."""

    def __init__(self) -> None:
        self.databases: dict[str, bytes] = {}
        self.layer_of: dict[str, str] = {}
        self.paths: set[str] = set()
        self.bytes_total = 0
        self.unread: list[str] = []
        """Databases of packages that were not read."""
        self._libraries: dict[str, Component] = {}

    def add(self, layer: Layer) -> None:
        """Lay a layer over what is there."""
        for name, member in files_of(layer):
            base = PurePosixPath(name).name
            if base.startswith(".wh."):
                self._remove(name, base)
                continue
            if not member.isreg():
                continue
            self.bytes_total += member.size
            self.paths.add(name)
            if is_database(name) and member.size > DATABASE_BYTES_MAX:
                self.unread.append(f"{name}: {member.size} bytes are too many to read")
            elif is_database(name):
                file = layer.tar.extractfile(member)
                self.databases[name] = file.read() if file is not None else b""
                self.layer_of[name] = layer.digest
            elif library := bundled_library(name):
                self._libraries[name] = library

    def libraries(self) -> list[Component]:
        """Return the libraries that wheels brought along."""
        return [self._libraries[name] for name in sorted(self._libraries)]

    def _remove(self, name: str, base: str) -> None:
        folder = name.removesuffix(base)
        gone = folder if base == ".wh..wh..opq" else folder + base.removeprefix(".wh.")
        for held in (self.databases, self.layer_of, self._libraries):
            for path in [
                one for one in held if one == gone or one.startswith(f"{gone.rstrip('/')}/")
            ]:
                held.pop(path, None)
        self.paths = {
            p for p in self.paths if p != gone and not p.startswith(f"{gone.rstrip('/')}/")
        }


def _layer_secrets(layer: Layer, known: dict[str, str]) -> Iterator[SecretFinding]:
    for name, member in files_of(layer):
        if (
            not member.isreg()
            or not 0 < member.size <= FILE_BYTES_MAX
            or name.endswith(_DATA_ENDINGS)
        ):
            continue
        if is_database(name):
            continue
        file = layer.tar.extractfile(member)
        data = file.read() if file is not None else b""
        if b"\0" in data[:1024] or _is_recorded(name, data, known):
            continue
        yield from secrets_in(data, name, layer.digest)


def _is_recorded(name: str, data: bytes, known: dict[str, str]) -> bool:
    """Whether a file is, byte for byte, what its package brought."""
    expected = known.get(name)
    if expected is None:
        return False
    kind, _, value = expected.partition(":")
    digest = hashlib.sha256(data) if kind == "sha256" else hashlib.md5(data, usedforsecurity=False)
    return digest.hexdigest() == value


def _config_secrets(image: SavedImage) -> Iterator[SecretFinding]:
    """Look at what the image says of itself: its environment and how it was made."""
    settings = image.config.get("config") or {}
    for line in settings.get("Env") or ():
        yield from secrets_in(str(line).encode(), "(environment of the image)")
    for number, step in enumerate(image.config.get("history") or (), 1):
        yield from secrets_in(str(step.get("created_by", "")).encode(), f"(history, step {number})")


def _base_made_at(image: SavedImage) -> datetime | None:
    labels = (image.config.get("config") or {}).get("Labels") or {}
    try:
        made = datetime.fromisoformat(labels.get(LABEL_BASE_MADE, ""))
    except (TypeError, ValueError):
        return None
    # Reproducible builds write a time of their own choice, in the years before there were containers.
    return made if made.tzinfo is not None and made.year >= FIRST_YEAR else None


def _may_be_pickle(source: IO[bytes]) -> bool:
    """Whether a file begins as pickles of protocol 2 and newer do, or as what PyTorch makes of them."""
    head = source.read(_HEAD_BYTES)
    source.seek(0)
    return _PICKLE.match(head) is not None or _TORCH.match(head) is not None


def _is_packaged(name: str) -> bool:
    return any(part in f"/{name}" for part in _PACKAGED)


def _unscanned(name: str, size: int) -> ModelScan:
    """Return what is said of a model file beyond those that are looked into: it was not."""
    beyond = ModelFinding(
        kind="outside", message=f"more than {MODELS_MAX} model files lie in this layer", file=name
    )
    return ModelScan(
        digest="sha256:" + "0" * 64, formats=(), runs_code=True, findings=(beyond,), files=1,
        bytes_total=size, bytes_read=0, scanner="",
    )  # fmt: skip


def _model_component(name: str, scan: ModelScan) -> Component:
    return Component(
        name=PurePosixPath(name).name, version=scan.digest[7:19], ecosystem="model",
        purl=f"pkg:generic/{PurePosixPath(name).name}@{scan.digest}", location=name, digest=scan.digest,
    )  # fmt: skip
