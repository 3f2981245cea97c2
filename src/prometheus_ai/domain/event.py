"""Audited facts, and what a person may do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Every kind of event, as ``subject:action``."""

    BACKEND_CREATED = "backend:created"
    BACKEND_DELETED = "backend:deleted"
    RELEASE_CREATED = "release:created"
    RELEASE_READY = "release:ready"
    RELEASE_FAILED = "release:failed"
    RELEASE_RETIRED = "release:retired"
    RELEASE_SCALED = "release:scaled"
    REPLICA_STARTED = "replica:started"
    REPLICA_READY = "replica:ready"
    REPLICA_DRAINED = "replica:drained"
    REPLICA_STOPPED = "replica:stopped"
    REPLICA_FAILED = "replica:failed"
    REPLICA_ADOPTED = "replica:adopted"
    ROUTE_WANTED = "route:wanted"
    ROUTE_CHANGED = "route:changed"
    ROUTE_REJECTED = "route:rejected"
    TOKEN_CREATED = "token:created"
    TOKEN_REVOKED = "token:revoked"
    CONTROL_PLANE_STARTED = "control_plane:started"
    ARTEFACTS_COLLECTED = "artefacts:collected"


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One audited fact: who changed what, why, and how it was before."""

    kind: Kind
    actor: str
    reason: str
    backend: str | None = None
    version: str | None = None
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditRecord:
    """An event as it stands in the Merkle log."""

    index: int
    event: Mapping[str, Any]
    """The canonical JSON object that was hashed."""
    leaf_hash: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeHead:
    """The log at one size: RFC 6962, section 2.1."""

    size: int
    root_hash: bytes


class Role(StrEnum):
    """What a token may do; each role includes the ones before it."""

    VIEWER = "viewer"
    DEPLOYER = "deployer"
    ADMIN = "admin"

    def allows(self, needed: "Role") -> bool:
        """Whether this role covers ``needed``."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """An API token as stored: the secret itself is shown once and never kept."""

    id: str
    name: str
    role: Role
    secret_hash: bytes
    created_at: datetime
    revoked_at: datetime | None = None
