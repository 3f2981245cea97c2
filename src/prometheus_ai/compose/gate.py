"""The supply-chain gate, put together from settings."""

from pathlib import Path

from prometheus_ai.adapters.artefacts.filesystem.store import FilesystemArtefactStore
from prometheus_ai.adapters.registries.oci import OciBundles
from prometheus_ai.adapters.scanners.advisories import SqliteAdvisories
from prometheus_ai.adapters.scanners.images import LayeredImageScanner, write_cyclonedx
from prometheus_ai.adapters.scanners.model_files import ModelFileScanner
from prometheus_ai.adapters.scanners.programs import GRYPE, SYFT, TRIVY
from prometheus_ai.adapters.signers.ecdsa import BundleVerifier, read_public
from prometheus_ai.compose.clock import SystemClock
from prometheus_ai.compose.settings import Settings
from prometheus_ai.control.plane import Gate
from prometheus_ai.domain.errors import (
    InvalidInput,
    InvalidSpec,
    Refused,
    SpecProblem,
    Unavailable,
)
from prometheus_ai.domain.gate import AdvisoryData, ImageScan, ModelScan, Vulnerability
from prometheus_ai.gates import DEFAULT_POLICY, STRICT_POLICY, read_policy


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
        InvalidSpec: with every problem; a key that cannot be read is one, for nothing it signed would count.
    """
    policy = read_policy(path.read_text("utf-8"), str(path))
    problems = []
    for name, pem in policy.keys.items():
        try:
            read_public(pem)
        except InvalidInput as error:
            problems.append(SpecProblem(field=f"keys.{name}", message=error.message))
    if problems:
        raise InvalidSpec(tuple(problems), source=str(path))
    return ", ".join(one.name for one in policy.sections)


def open_gate(settings: Settings) -> Gate:
    """Return what the gate of a home folder works with."""
    return Gate(
        policy=lambda: policy_text(settings),
        models=ModelFileScanner(),
        images=LayeredImageScanner(ModelFileScanner().scan),
        advisories=_advisories(settings),
        signatures=BundleVerifier(),
        bundles=OciBundles(),
        opinions=(TRIVY, GRYPE, SYFT),
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
