"""The control plane's memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from prometheus_ai.domain.decision import DecisionRecord
from prometheus_ai.domain.event import AuditRecord, Token, TreeHead
from prometheus_ai.domain.release import Backend, Release, ReleaseState
from prometheus_ai.domain.replica import ReplicaRecord
from prometheus_ai.domain.window import Window


class Reading(Protocol):
    """Queries inside one consistent view."""

    def backend(self, name: str) -> Backend | None:
        """Return a backend, or None."""

    def backends(self) -> list[Backend]:
        """Return every backend, by name."""

    def release(self, backend: str, version: str) -> Release | None:
        """Return a release, or None."""

    def releases(self, backend: str | None = None) -> list[Release]:
        """Return the releases of one backend, or all, oldest first."""

    def release_by_digest(self, backend: str, digest: str) -> Release | None:
        """Return the newest release with this digest, or None."""

    def release_states(self, backend: str | None = None) -> list[ReleaseState]:
        """Return where releases stand."""

    def replica(self, replica_id: str) -> ReplicaRecord | None:
        """Return one replica record, or None."""

    def open_replicas(self, backend: str | None = None) -> list[ReplicaRecord]:
        """Return the records of replicas that have not ended."""

    def ended_replicas(self, since: datetime, backend: str | None = None) -> list[ReplicaRecord]:
        """Return the records of replicas that ended at or after ``since``, oldest first."""

    def windows(
        self, since: datetime, backend: str | None = None, *, until: datetime | None = None
    ) -> list[Window]:
        """Return windows that end after ``since``, and not after ``until``; oldest first."""

    def decision(self, backend: str, number: int) -> DecisionRecord | None:
        """Return one decision about a backend, or None."""

    def decisions(self, backend: str, since: datetime, limit: int) -> list[DecisionRecord]:
        """Return the newest decisions about a backend since then, at most ``limit``, oldest of them first."""

    def table_generation(self) -> int:
        """Return the generation of the last route table."""

    def tokens(self) -> list[Token]:
        """Return all tokens, revoked ones included."""

    def token_by_hash(self, secret_hash: bytes) -> Token | None:
        """Return the token with this secret, or None."""

    def audit_head(self) -> TreeHead | None:
        """Return the log's last recorded head, or None when it is empty."""

    def audit_records(
        self, start: int, limit: int, backend: str | None = None
    ) -> list[AuditRecord]:
        """Return records from index ``start`` on, in order, at most ``limit``.

        A stored record that cannot be read comes back as ``{"unreadable": …}``, so that verification
        can name it.
        """

    def latest_audit_records(self, limit: int, backend: str | None = None) -> list[AuditRecord]:
        """Return the newest records, at most ``limit``, oldest of them first."""

    def audit_nodes(self, ids: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        """Return stored hashes of complete subtrees by (level, index); missing ones are left out.

        Level 0 holds a second copy of every leaf hash.
        """

    def setting(self, name: str) -> str | None:
        """Return a stored setting, or None."""


class Writing(Reading, Protocol):
    """One atomic change. Everything is applied, or nothing."""

    def put_backend(self, backend: Backend) -> Backend:
        """Insert (revision 0) or update; return it with the next revision.

        Raises:
            Conflict: the stored revision is not the one that ``backend`` was read with.
        """

    def delete_backend(self, name: str) -> None:
        """Remove a backend with its releases, states and closed replica records; events and windows stay.

        Raises:
            NotFound: there is no such backend.
            Conflict: it has open replicas.
        """

    def add_release(self, release: Release) -> None:
        """Insert a release.

        Raises:
            Conflict: the version or the number exists, or the backend does not.
        """

    def put_release_state(self, state: ReleaseState) -> ReleaseState:
        """Insert (revision 0) or update; return it with the next revision.

        Raises:
            Conflict: the stored revision differs, or the release does not exist.
        """

    def next_replica_number(self, backend: str, version: str) -> int:
        """Return 1, 2, 3 … for each release; a number is never given twice, not even after a crash."""

    def put_replica(self, record: ReplicaRecord) -> None:
        """Insert or replace a replica record.

        Raises:
            Conflict: its release does not exist.
        """

    def forget_replicas(self, before: datetime) -> int:
        """Remove records of replicas that ended before ``before``; return how many went."""

    def add_windows(self, windows: Sequence[Window]) -> None:
        """Add measurement windows."""

    def compact_windows(self, before: datetime, span_s: int) -> int:
        """Merge windows into one for each release and span of ``span_s`` that ends by ``before``.

        Spans are aligned to the epoch, and a window belongs to the span that it starts in.
        Counts and histograms are kept exactly. Return how many rows went.
        """

    def forget_windows(self, before: datetime) -> int:
        """Remove windows that end before ``before``; return how many went."""

    def add_decision(self, record: DecisionRecord, kept_max: int) -> int:
        """Add a decision and return its id; of its backend and decider only the newest ``kept_max`` stay.

        Ids are never given twice. Decisions stay when their backend is deleted.
        """

    def forget_decisions(self, before: datetime) -> int:
        """Remove decisions made before ``before``; return how many went."""

    def next_table_generation(self) -> int:
        """Advance and return the route table's generation."""

    def put_token(self, token: Token) -> None:
        """Insert or replace a token.

        Raises:
            Conflict: another token has the same secret.
        """

    def append_audit(
        self, record: AuditRecord, nodes: Mapping[tuple[int, int], bytes], head: TreeHead
    ) -> None:
        """Append one record with the subtree hashes it completes and the new head.

        Raises:
            Conflict: ``record.index`` is not the next one, or ``head`` is not of that size.
        """

    def put_setting(self, name: str, value: str) -> None:
        """Store a setting."""


class StateStore(Protocol):
    """Durable state with atomic changes and consistent reads; safe to use from several threads.

    Times come back in UTC. A change must not be opened inside another one on the same thread.
    """

    def read(self) -> AbstractContextManager[Reading]:
        """Open a consistent view.

        Raises:
            Unavailable: the store cannot be read.
            Corrupted: the store is damaged; says what to do.
        """

    def write(self) -> AbstractContextManager[Writing]:
        """Open a change: committed durably when the block ends, rolled back when it raises.

        Writers take turns. Raises as ``read`` does, and Unavailable when the disk is full.
        """

    def close(self) -> None:
        """Release connections."""

    def describe(self) -> Mapping[str, Any]:
        """Say what it is, where, and how large, for ``pai doctor``."""

    def iterate_audit(self, batch: int) -> Iterator[AuditRecord]:
        """Yield every audit record in storage order, without loading them all."""
