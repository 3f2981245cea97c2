"""A release: one immutable version of a backend, and where it stands."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from prometheus_ai.domain.spec import Spec


@dataclass(frozen=True, kw_only=True, slots=True)
class Artefact:
    """Bytes in the content-addressed store: a file, or a tree listed by a manifest."""

    digest: str
    """``sha256:<hex>`` of the file, or of the canonical manifest of the tree."""
    name: str
    """The file or folder name under which a replica sees it."""
    size_bytes: int
    is_tree: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Everything that decides how a release behaves, by digest."""

    model: Artefact
    lock: Artefact
    """The resolved, hashed requirements that the environment is made from."""
    python: str
    runtime: str
    """Version and digest of the model server: ``0.1.0+sha256:<hex>``."""
    engine: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """An immutable version. It is never edited; changes make a new one."""

    backend: str
    version: str
    number: int
    """Position in the backend's history, starting at 1."""
    digest: str
    """``sha256:<hex>`` over spec and inputs; equal digests are the same release."""
    spec: Spec
    inputs: Inputs
    created_at: datetime
    created_by: str

    @property
    def id(self) -> str:
        """``backend/version``, the name used in headers, logs and metrics."""
        return f"{self.backend}/{self.version}"


class ReleasePhase(StrEnum):
    """Where a release stands."""

    PREPARING = "preparing"
    """Its environment is being made."""
    STARTING = "starting"
    """Replicas are wanted, and none has been ready yet."""
    READY = "ready"
    """It has been ready; it may carry traffic."""
    RETIRED = "retired"
    """It was ready once and has no replicas now; it can be started again."""
    FAILED = "failed"
    """It never became ready; ``failure`` says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseState:
    """The mutable side of a release."""

    backend: str
    version: str
    phase: ReleasePhase
    replicas_wanted: int
    phase_since: datetime
    unrouted_since: datetime | None = None
    """When it lost its last traffic; decides when its replicas are retired."""
    failure: str = ""
    revision: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """A named AI service: its routes, wanted and in force."""

    name: str
    created_at: datetime
    stable: str | None = None
    """The version last promoted to all traffic."""
    previous: str | None = None
    """The version that was stable before: what ``rollback`` returns to."""
    wanted: tuple[tuple[str, int], ...] = ()
    """Wanted weights by version, in basis points summing to 10,000; empty before the first deploy."""
    in_force: tuple[tuple[str, int], ...] = ()
    """The weights last given to the gateway."""
    is_deleting: bool = False
    revision: int = 0
