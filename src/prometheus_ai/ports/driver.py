"""Running replicas on one kind of target."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from prometheus_ai.domain.release import Release
from prometheus_ai.domain.replica import Observed, ReplicaUsage
from prometheus_ai.domain.secret import Secret
from prometheus_ai.domain.spec import Spec

Progress = Callable[[str], None]
"""Called with one human line for each step of long work."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """What a target can honour; planning and validation read this instead of asking which driver it is."""

    gpus: int = 0
    cpu_limit: bool = False
    """Whether ``resources.cpu`` is enforced, not only advised."""
    memory_limit: bool = False
    isolated_network: bool = False
    cpus_total: float = 0.0
    memory_bytes_total: int = 0
    notes: tuple[str, ...] = ()
    """What this machine cannot enforce, in words for ``pai doctor`` and ``pai status``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicaOrder:
    """Everything a driver needs to start one replica."""

    id: str
    release: Release
    model_path: Path
    """The verified artefact, read-only."""
    lock_path: Path
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    """By file name; written where only the replica reads them, and nowhere else."""
    image: str = ""
    """Id of the image that was decided about: no other may run, whatever tags and labels say meanwhile.

    Empty where nothing was decided about an image.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLine:
    """One line that a replica wrote."""

    replica: str
    at: str
    """RFC 3339 time at which the line was captured."""
    stream: str
    """``stdout`` or ``stderr``."""
    text: str


class Driver(Protocol):
    """Runs replicas on one target.

    Promises: every call is idempotent by replica id; nothing blocks longer than a few seconds except
    ``prepare``; replicas survive the death of the control plane, and a new driver on the same target
    sees them again through ``observe`` with the same ids; a replica that ended stays visible as EXITED,
    with its exit, until ``forget``.
    """

    def capabilities(self) -> Capabilities:
        """Say what this target can honour."""

    def unsupported_fields(self, spec: Spec) -> tuple[str, ...]:
        """Return one message for each field that this target cannot honour: field, target, nearest thing that works."""

    def prepare(self, release: Release, lock_path: Path, progress: Progress) -> None:
        """Make ready whatever replicas of this release need (environment, image). May take minutes; safe to repeat.

        Raises:
            InvalidInput: the release can never be prepared (a requirement does not exist, a hash differs).
            Unavailable: it may work later (an index cannot be reached, the disk is full).
        """

    def start(self, order: ReplicaOrder) -> None:
        """Start a replica; return once it exists, not once it is ready. Starting an existing id does nothing.

        Raises:
            Corrupted: the artefact is not what its digest says.
            Unavailable: the target cannot take it now.
        """

    def observe(self) -> tuple[Observed, ...]:
        """Return every replica on this target, ended ones included. Quick: it never waits for a replica."""

    def usage(self, replica_ids: Sequence[str]) -> Mapping[str, ReplicaUsage]:
        """Return what these replicas use now; one that cannot be measured is left out. Quick.

        Raises:
            Unavailable: the target cannot be asked now.
        """

    def stop(self, replica_id: str, grace_s: float) -> None:
        """Ask a replica to drain and end, and return at once; after ``grace_s`` it is killed.

        An unknown id does nothing.
        """

    def forget(self, replica_id: str) -> None:
        """Remove what remains of a replica that ended. Its logs are kept for ``logs`` within their bound."""

    def logs(self, replica_id: str, tail: int, follow: bool) -> Iterator[LogLine]:
        """Yield the last ``tail`` lines, then new ones while ``follow`` and the replica lives."""

    def prunable(self, keep: frozenset[str]) -> tuple[str, ...]:
        """Return prepared environments not needed by the lock digests in ``keep``."""

    def prune(self, names: tuple[str, ...]) -> int:
        """Remove prepared environments; return the bytes freed."""

    def close(self) -> None:
        """Release threads and handles; replicas go on."""
