"""The supply-chain gate, put together from settings."""

import os
from pathlib import Path

from prometheus_ai.adapters.artefacts.filesystem.store import FilesystemArtefactStore
from prometheus_ai.adapters.scanners.advisories import SqliteAdvisories
from prometheus_ai.adapters.scanners.images import LayeredImageScanner, write_cyclonedx
from prometheus_ai.adapters.scanners.model_files import ModelFileScanner
from prometheus_ai.adapters.signers.ecdsa import BundleVerifier, EcdsaSigner, create_key
from prometheus_ai.compose.clock import SystemClock
from prometheus_ai.compose.settings import Settings
from prometheus_ai.control.plane import Gate
from prometheus_ai.domain.errors import Conflict, InvalidInput, Refused, Unavailable
from prometheus_ai.domain.gate import AdvisoryData, ImageScan, ModelScan, Vulnerability
from prometheus_ai.gates import DEFAULT_POLICY, STRICT_POLICY, read_policy

PASSWORD_VARIABLE = "PAI_KEY_PASSWORD"
PRIVATE_VARIABLE = "PAI_SIGNING_KEY"


def policy_path(settings: Settings) -> Path:
    """Return where the policy file of an installation lies."""
    return settings.home / "policy.yaml"


def policy_text(settings: Settings, *, strict: bool = False) -> str:
    """Return the policy file, or one that ships when there is none; ``strict`` is the one for production.

    Raises:
        Unavailable: the file is there and cannot be read: then nothing may start.
    """
    if strict:
        return STRICT_POLICY
    try:
        return policy_path(settings).read_text("utf-8")
    except FileNotFoundError:
        return DEFAULT_POLICY
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"{policy_path(settings)} cannot be read: {error}") from error


def check_policy(path: Path) -> str:
    """Return the names of the sections of a policy file, read strictly.

    Raises:
        InvalidSpec: with every problem.
    """
    return ", ".join(one.name for one in read_policy(path.read_text("utf-8"), str(path)).sections)


def open_gate(settings: Settings) -> Gate:
    """Return what the gate of a home folder works with."""
    return Gate(
        policy=lambda: policy_text(settings),
        models=ModelFileScanner(),
        images=LayeredImageScanner(ModelFileScanner().scan),
        advisories=_advisories(settings),
        signatures=BundleVerifier(),
        evidence=FilesystemArtefactStore(settings.home / "evidence"),
    )


def scan_file(path: Path, allow: tuple[str, ...] = ()) -> ModelScan:
    """Look into a model file on this machine."""
    return ModelFileScanner().scan(path, "", allow)


def scan_image(
    settings: Settings, path: Path
) -> tuple[ImageScan, tuple[Vulnerability, ...] | None, AdvisoryData]:
    """Look into a saved image, and compare its packages with this installation's advisories.

    Without a database the weaknesses are None, which is not the same as none.
    """
    models = ModelFileScanner()
    found = LayeredImageScanner(models.scan).scan(path)
    database = _advisories(settings)
    data = database.status()
    return found, database.match(found.sbom.components) if data.digest else None, data


def image_sbom(path: Path) -> bytes:
    """Return the packages of a saved image as CycloneDX 1.6 JSON."""
    found = LayeredImageScanner(ModelFileScanner().scan).scan(path)
    return write_cyclonedx(found.sbom, path.name, SystemClock().now().isoformat())


def _advisories(settings: Settings) -> SqliteAdvisories:
    path = settings.home / "advisories" / "advisories.db"
    return SqliteAdvisories(path, now=SystemClock().now)


def refuse_unsafe(path: Path) -> None:
    """Refuse a model that would run unknown code, before it is loaded to see what it is.

    Raises:
        Refused: with the first finding.
    """
    scan = scan_file(path)
    if scan.runs_code and not scan.is_clean:
        first = scan.findings[0]
        raise Refused(
            f"{path.name} is not safe to load: {first.file} {first.message}",
            hint="`pai model scan` shows everything that was found",
        )


def make_key(path: Path) -> str:
    """Write a new private key, encrypted with PAI_KEY_PASSWORD where that is set; return the public half.

    Raises:
        Conflict: the file exists.
    """
    private, public = create_key(os.environ.get(PASSWORD_VARIABLE, "").encode() or None)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Conflict(f"{path} exists", hint="choose another file") from error
    with os.fdopen(handle, "wb") as file:
        file.write(private)
        file.flush()
        os.fsync(file.fileno())
    return public


def sign_image(key: Path | None, reference: str, digest: str, folder: Path) -> tuple[Path, ...]:
    """Write both of cosign's forms of a signature over an image's manifest, ready to be pushed.

    Raises:
        InvalidInput: there is no key, or it cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, artefact in zip(
        ("referrer", "signature"), _signer(key).sign_image(reference, digest), strict=True
    ):
        parts = {f"{name}.manifest.json": artefact.manifest, f"{name}.blob": artefact.blobs[1]}
        for file, data in {**parts, f"{name}.config.json": artefact.blobs[0]}.items():
            (folder / file).write_bytes(data)
            written.append(folder / file)
    return tuple(written)


def sign_with(key: Path | None, digest: str, name: str, predicate_type: str) -> bytes:
    """Sign a digest with a key from a file, or from PAI_SIGNING_KEY.

    Raises:
        InvalidInput: there is no key, or it cannot be read.
    """
    return _signer(key).sign(digest, name, predicate_type, b"{}")


def _signer(key: Path | None) -> EcdsaSigner:
    pem = key.read_bytes() if key else os.environ.get(PRIVATE_VARIABLE, "").encode()
    if not pem:
        raise InvalidInput("no key to sign with", hint=f"give --key FILE or set {PRIVATE_VARIABLE}")
    return EcdsaSigner(pem, os.environ.get(PASSWORD_VARIABLE, "").encode() or None)
