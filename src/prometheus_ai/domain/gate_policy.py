"""What may run where: the gate's policy, written in one YAML file.

Like specs, policies are built with pydantic: one definition validates the file and explains every field.
The first section that matches a release and its target decides; there is always one that matches.
"""

from datetime import datetime
from fnmatch import fnmatchcase
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from prometheus_ai.domain.gate import Severity
from prometheus_ai.domain.image_spec import HardeningField

Mode = Literal["enforce", "warn", "off"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ModelFileRule(_Frozen):
    """Model files are scanned before anything loads them."""

    mode: Mode = Field(default="enforce", description="What a finding does.")
    pickle: Literal["never", "clean"] = Field(
        default="clean",
        description="Formats that choose callables: never, or with allow_pickle in the spec and a clean scan.",
    )
    python: bool = Field(default=True, description="Whether a model may be Python source.")
    allow: tuple[str, ...] = Field(
        default=(), description="Callables to allow beyond the scanner's own, as module.name."
    )


class SignatureRule(_Frozen):
    """Signatures over a model or image, by keys of this policy."""

    mode: Mode = Field(default="off", description="What a missing signature does.")
    keys: tuple[str, ...] = Field(
        default=(), description="Names of keys that count; all when empty."
    )
    count: int = Field(
        default=1, ge=1, le=16, description="How many different keys must have signed."
    )


Statement = Literal["provenance", "sbom", "scan", "decision"]


class AttestationRule(_Frozen):
    """Signed statements about what runs, verified before every start."""

    mode: Mode = Field(default="off", description="What a missing statement does.")
    demand: tuple[Statement, ...] = Field(
        default=("provenance", "sbom", "scan"),
        description="Statements that must be there: provenance, sbom, scan, decision (of another site's gate).",
    )
    keys: tuple[str, ...] = Field(
        default=(), description="Names of keys whose statements count; all when empty."
    )


class VulnerabilityRule(_Frozen):
    """Known weaknesses in packages."""

    mode: Mode = Field(default="enforce", description="What a blocked weakness does.")
    block: tuple[Severity, ...] = Field(
        default=(Severity.CRITICAL,), description="Severities that block; unrated is one of them."
    )
    known_exploited: bool = Field(
        default=True, description="Block whatever is known to be exploited."
    )
    fixable_only: bool = Field(default=False, description="Block only what has a fixed version.")
    data_age_days_max: float = Field(
        default=7, gt=0, description="Older advisory data refuses new releases, whatever it says."
    )
    admitted_data_age_days_max: float = Field(
        default=30,
        gt=0,
        description="What fresh data let run before starts again, flagged, until the data is older than this.",
    )


class OnOffRule(_Frozen):
    """A rule with nothing to set but what it does."""

    mode: Mode = Field(default="enforce", description="What a finding does.")


class HardeningRule(_Frozen):
    """How little power a container has."""

    mode: Mode = Field(default="enforce", description="What a missing hardening does.")
    allow: tuple[HardeningField, ...] = Field(
        default=(), description="Exceptions that a spec may make under `container`, with a reason."
    )


class LicenceRule(_Frozen):
    """Licences of packages."""

    mode: Mode = Field(default="off", description="What a denied licence does.")
    deny: tuple[str, ...] = Field(default=(), description="Licences, with * as a wildcard.")


class BaseRule(_Frozen):
    """Age of the base image."""

    mode: Mode = Field(default="off", description="What an old base does.")
    age_days_max: float = Field(default=180, gt=0, description="Oldest base image.")


class Section(_Frozen):
    """Rules for the releases and targets that it names."""

    name: str = Field(min_length=1, max_length=64, description="What reports call this section.")
    targets: tuple[str, ...] = Field(
        default=("*",), description="Target names, with * as a wildcard."
    )
    backends: tuple[str, ...] = Field(default=("*",), description="Backend names, with *.")
    model_files: ModelFileRule = ModelFileRule()
    model_signature: SignatureRule = SignatureRule()
    image_signature: SignatureRule = SignatureRule()
    attestations: AttestationRule = AttestationRule()
    vulnerabilities: VulnerabilityRule = VulnerabilityRule()
    sbom: OnOffRule = OnOffRule()
    secrets: OnOffRule = OnOffRule()
    hardening: HardeningRule = HardeningRule()
    licences: LicenceRule = LicenceRule()
    base: BaseRule = BaseRule()

    def matches(self, backend: str, target: str) -> bool:
        """Whether this section decides about a backend on a target."""
        return any(fnmatchcase(target, one) for one in self.targets) and any(
            fnmatchcase(backend, one) for one in self.backends
        )


class AcceptedRisk(_Frozen):
    """A weakness that somebody answers for, until a date."""

    id: str = Field(min_length=3, description="Any of its names: CVE, GHSA, PYSEC.")
    owner: str = Field(min_length=1, description="Who answers for it.")
    reason: str = Field(min_length=1, description="Why it may run.")
    expires: datetime = Field(description="From then on it blocks again.")
    packages: tuple[str, ...] = Field(
        default=("*",), description="Packages that it covers, with *."
    )
    backends: tuple[str, ...] = Field(
        default=("*",), description="Backends that it covers, with *."
    )
    digest: str | None = Field(default=None, description="Only this image or model.")

    @model_validator(mode="after")
    def _has_a_zone(self) -> Self:
        if self.expires.tzinfo is None:
            raise ValueError("expires needs a time zone, such as 2027-01-31T00:00:00Z")
        return self


class VexStatement(_Frozen):
    """What is known of a weakness in this product, in OpenVEX's words."""

    id: str = Field(min_length=3, description="Any of its names.")
    status: Literal["not_affected", "fixed", "affected", "under_investigation"] = Field(
        description="Only not_affected and fixed take a finding away."
    )
    justification: str = Field(default="", description="Required for not_affected.")
    packages: tuple[str, ...] = Field(default=("*",), description="Packages that it speaks of.")

    @model_validator(mode="after")
    def _is_justified(self) -> Self:
        if self.status == "not_affected" and not self.justification:
            raise ValueError("not_affected needs a justification")
        return self


class Policy(_Frozen):
    """The whole file."""

    version: Literal[1] = Field(default=1, description="Version of this format.")
    keys: dict[str, str] = Field(default_factory=dict, description="Public keys by name, as PEM.")
    sections: tuple[Section, ...] = Field(
        min_length=1, description="The first that matches decides."
    )
    accepted_risks: tuple[AcceptedRisk, ...] = Field(
        default=(), description="With owner and expiry."
    )
    vex: tuple[VexStatement, ...] = Field(default=(), description="OpenVEX statements.")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if not self.sections[-1].matches("any", "any"):
            raise ValueError("the last section must match everything: targets and backends [*]")
        for section in self.sections:
            for rule in (section.model_signature, section.image_signature, section.attestations):
                if unknown := [name for name in rule.keys if name not in self.keys]:
                    raise ValueError(
                        f"section {section.name}: no key is called {', '.join(unknown)}"
                    )
        return self

    def section_of(self, backend: str, target: str) -> Section:
        """Return the section that decides."""
        return next(one for one in self.sections if one.matches(backend, target))
