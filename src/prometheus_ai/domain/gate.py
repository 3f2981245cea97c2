"""Evidence about what is about to run, and what the gate concludes from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """How bad an advisory is; ``unrated`` is a class of its own, for a missing severity is no low one."""

    UNRATED = "unrated"
    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFinding:
    """One reason not to load a model file."""

    kind: str
    """``unsafe``: it would run code; ``malformed``, ``truncated``, ``unrecognised``, ``trailing``, ``outside``,
    ``encrypted`` or ``bomb``: it could not be read to the end within bounds."""
    message: str
    file: str
    """The file inside the model, and the member inside the file."""
    where: str = ""
    """The place inside it, such as ``byte 17``."""
    name: str = ""
    """The callable that would be looked up, where it is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelScan:
    """What a model file or folder is, and what speaks against loading it."""

    digest: str
    formats: tuple[str, ...]
    runs_code: bool
    """Whether its format lets the file choose callables: pickle and what contains one."""
    is_source: bool = False
    """Whether it is Python source: a program of the user's own, not data."""
    findings: tuple[ModelFinding, ...]
    files: int
    bytes_total: int
    bytes_read: int
    """Bytes that were understood; less than the total only with a finding."""
    scanner: str
    """Name and version of the scanner with its allow-list."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing speaks against loading it."""
        return not self.findings and self.bytes_read == self.bytes_total


@dataclass(frozen=True, kw_only=True, slots=True)
class Component:
    """One package inside an image or lock."""

    name: str
    version: str
    ecosystem: str
    """OSV's name of it: ``PyPI``, ``Debian:12``, ``Alpine:v3.20``; ``model`` or ``generic`` where none fits."""
    purl: str
    source: str = ""
    """Name of the source package, by which a distribution's advisories speak."""
    source_version: str = ""
    location: str = ""
    layer: str = ""
    """Digest of the layer that brought it."""
    owner: str = ""
    """The distribution package whose files these are; its data speaks for this one, not the ecosystem's."""
    licences: tuple[str, ...] = ()
    digest: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sbom:
    """Everything that was found inside something."""

    subject: str
    """Digest of what it describes."""
    components: tuple[Component, ...]
    files: int = 0
    unread: tuple[str, ...] = ()
    """What could not be read; not empty means that the list is not complete."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vulnerability:
    """One known weakness of one component."""

    id: str
    """The name it is best known by: its CVE where it has one."""
    aliases: tuple[str, ...]
    """All its names, this one included."""
    related: tuple[str, ...] = ()
    severity: Severity
    score: float | None = None
    package: str
    version: str
    ecosystem: str
    fixed_in: tuple[str, ...] = ()
    is_known_exploited: bool = False
    summary: str = ""
    location: str = ""
    sources: tuple[str, ...] = ()
    """Who reported it: ``osv``, ``trivy``, ``grype``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AdvisoryData:
    """The advisories that a match was made with."""

    digest: str = ""
    """Over what was imported; empty when there is no database."""
    ecosystems: tuple[str, ...] = ()
    advisories: int = 0
    newest_at: datetime | None = None
    """When its newest advisory was changed: the age of the data, not of the import."""
    imported_at: datetime | None = None
    known_exploited: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretFinding:
    """Something that looks like a credential."""

    rule: str
    file: str
    line: int
    layer: str = ""
    excerpt: str = ""
    """The line with the secret blotted out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageScan:
    """What lies in an image, layer by layer."""

    image: str
    """Digest of its configuration or manifest."""
    sbom: Sbom
    secrets: tuple[SecretFinding, ...]
    models: tuple[ModelScan, ...] = ()
    """Model files outside of packages."""
    layers: int = 0
    bytes_total: int = 0
    user: str = ""
    base_made_at: datetime | None = None
    """When its base was made, as its label says; None where it has none that can be believed."""
    others: tuple[Vulnerability, ...] = ()
    """Weaknesses that other scanners found, where some are installed."""
    asked: tuple[str, ...] = ()
    """Those scanners, with their versions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignatureCheck:
    """One signature over a subject, verified with a key of the policy."""

    key: str
    """The key's name in the policy; empty when no key of the policy verifies it."""
    subject: str
    predicate: str
    problem: str = ""
    """Why it does not count; empty when it does."""
    verdict: str = ""
    """What the statement itself concludes, ``PASSED`` or ``FAILED``; empty where it concludes nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardening:
    """How the container will run."""

    user: str = ""
    read_only_root: bool = False
    capabilities: tuple[str, ...] = ()
    no_new_privileges: bool = False
    exceptions: Mapping[str, str] = field(default_factory=dict)
    """Fields of the spec's ``container`` section that ask for more, with the reasons given there."""
    base_digest: str = ""
    base_created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """All that is known about a release before it starts. None means: not looked at."""

    model: ModelScan | None = None
    model_signatures: tuple[SignatureCheck, ...] = ()
    image: str = ""
    """Digest of the image; empty where a target runs none."""
    image_signatures: tuple[SignatureCheck, ...] = ()
    sbom: Sbom | None = None
    vulnerabilities: tuple[Vulnerability, ...] | None = None
    advisories: AdvisoryData = AdvisoryData()
    secrets: tuple[SecretFinding, ...] | None = None
    image_others: tuple[Vulnerability, ...] = ()
    """What other scanners found in the image; united with our own in ``vulnerabilities``."""
    image_models: tuple[ModelScan, ...] = ()
    """Model files that lie in the image itself."""
    hardening: Hardening | None = None
    subject: str = ""
    """What attestations speak of: the image, or the release where a target runs none."""
    attestations: tuple[SignatureCheck, ...] = ()
    """Signed statements about the subject."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """The release that asks to run, in the words that rules match on."""

    backend: str
    version: str
    target: str
    model_digest: str
    allow_pickle: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    admitted_at: datetime | None = None
    """When fresh data last let this very image or release run; None when none ever did."""


class RuleOutcome(StrEnum):
    """What one rule says."""

    PASS = "pass"
    WARN = "warn"
    REFUSE = "refuse"
    SKIP = "skip"
    """The rule does not apply, or the policy turned it off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleResult:
    """One rule, the evidence it saw and what it says."""

    rule: str
    outcome: RuleOutcome
    message: str
    evidence: tuple[str, ...] = ()
    hint: str = ""
    until: datetime | None = None
    """When an accepted risk or the age of data changes this answer, at the earliest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateReport:
    """The decision about one release on one target."""

    backend: str
    version: str
    target: str
    allowed: bool
    section: str
    """The part of the policy that applied."""
    policy_digest: str
    results: tuple[RuleResult, ...]
    at: datetime
    look_again_at: datetime | None = None
    """When the same evidence may lead to another answer."""

    @property
    def refusals(self) -> tuple[RuleResult, ...]:
        """The rules that refuse."""
        return tuple(one for one in self.results if one.outcome is RuleOutcome.REFUSE)
