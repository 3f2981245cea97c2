"""Audited facts, and what a person may do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Every kind of event, as ``subject:action``."""

    BACKEND_CREATED = "backend:created"
    """The first spec of a new name was accepted."""
    BACKEND_DELETED = "backend:deleted"
    """A backend is gone: its route, its replicas and its name."""
    RELEASE_CREATED = "release:created"
    """A spec became an immutable release."""
    RELEASE_READY = "release:ready"
    """Everything that the release's replicas need is prepared."""
    RELEASE_FAILED = "release:failed"
    """The release cannot run; the reason says why."""
    RELEASE_RETIRED = "release:retired"
    """The release's replicas are no longer wanted; its record and artefacts stay."""
    RELEASE_REGRESSED = "release:regressed"
    """A release is slower, fails more or answers otherwise than is usual at this hour of the week."""
    RELEASE_SCALED = "release:scaled"
    """Another number of replicas is wanted."""
    REPLICA_STARTED = "replica:started"
    """A replica was asked to start."""
    REPLICA_READY = "replica:ready"
    """A replica answers requests."""
    REPLICA_DRAINED = "replica:drained"
    """A replica was told to finish its requests and end."""
    REPLICA_NOTICED = "replica:noticed"
    """A notice said that a replica's machine goes away; the replica is replaced and drained before."""
    REPLICA_STOPPED = "replica:stopped"
    """A replica ended as it was asked to."""
    REPLICA_FAILED = "replica:failed"
    """A replica ended by itself; the event names exit code, signal and cause."""
    REPLICA_ADOPTED = "replica:adopted"
    """A restarted control plane found this replica running and keeps it."""
    ROUTE_WANTED = "route:wanted"
    """Somebody asked for other weights."""
    ROUTE_CHANGED = "route:changed"
    """The gateway confirmed that other weights are in force."""
    ROUTE_REJECTED = "route:rejected"
    """The gateway refused a table; the last good one stays in force."""
    ROLLOUT_BEGUN = "rollout:begun"
    """A release began to take over by a judged rollout."""
    ROLLOUT_STEPPED = "rollout:stepped"
    """A rollout moved on, held or asked; the event carries the evidence."""
    ROLLOUT_REHEARSED = "rollout:rehearsed"
    """The way back was walked for a moment and measured; the event says how long it takes."""
    ROLLOUT_ENDED = "rollout:ended"
    """A rollout is over: the candidate has what it was to get, or a newer one took its place."""
    ROLLOUT_ROLLED_BACK = "rollout:rolled_back"
    """A rollout gave its traffic back; the event carries the evidence."""
    TOKEN_CREATED = "token:created"
    """An API token was made; its secret is in no record."""
    TOKEN_REVOKED = "token:revoked"
    """An API token stopped being valid."""
    TARGET_ADDED = "target:added"
    """A place to run was added."""
    TARGET_REMOVED = "target:removed"
    """A place to run was forgotten; nothing ran there."""
    CONTROL_PLANE_STARTED = "control_plane:started"
    """A control plane began to act on this home."""
    GATE_PASSED = "gate:passed"
    """The policy lets a release run on its target; the event names policy, evidence and report by digest."""
    GATE_REFUSED = "gate:refused"
    """The policy does not let it run; the reason says which rule and why."""
    GATE_FLAGGED = "gate:flagged"
    """A running release would not be let start now, or has new weaknesses; it runs on, and the reason says why."""
    GATE_CLEARED = "gate:cleared"
    """Nothing speaks against a running release any more."""
    SIGNATURE_ADDED = "signature:added"
    """A signature over a model or image was stored; the event says which key made it."""
    ADVISORIES_UPDATED = "advisories:updated"
    """The gate judges by other advisory data from now on."""
    BUNDLE_EXPORTED = "bundle:exported"
    """A release was written to a bundle, with everything that is known of it."""
    BUNDLE_IMPORTED = "bundle:imported"
    """A bundle became a release here; the event says which key sealed it."""
    ARTEFACTS_COLLECTED = "artefacts:collected"
    """Artefacts and environments that nothing needs were removed."""


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
