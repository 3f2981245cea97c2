"""A copy of the tree head outside the database.

Whoever can write the database can also rewrite its tree. A checkpoint kept elsewhere shows it: the log must still
begin with the checkpoint's records, and must be no shorter.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_ai.audit.canonical import time_text
from prometheus_ai.audit.proofs import is_consistent, prove_consistency
from prometheus_ai.domain.errors import Corrupted, InvalidInput, Unavailable
from prometheus_ai.ports.state_store import Reading

FORMAT = "pai-audit-checkpoint/1"
CHECKPOINT_BYTES_MAX = 4096

_HINT = "run: pai audit verify; if the change was meant, move the checkpoint file away"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The log at one size and time."""

    size: int
    root_hash: bytes
    at: datetime
    source: str = "checkpoint"
    """Where it comes from, in a reader's words."""

    def to_json(self) -> dict[str, Any]:
        """Return the plain form that ``parse_checkpoint`` reads."""
        return {
            "format": FORMAT,
            "size": self.size,
            "root_hash": self.root_hash.hex(),
            "at": time_text(self.at),
        }


def parse_checkpoint(text: str, source: str) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        InvalidInput: the text is not a checkpoint.
    """
    try:
        parts = json.loads(text)
        if parts["format"] != FORMAT:
            raise InvalidInput(f"{source}: {parts['format']!r} is not the format {FORMAT!r}")
        checkpoint = Checkpoint(
            size=parts["size"],
            root_hash=bytes.fromhex(parts["root_hash"]),
            at=datetime.fromisoformat(parts["at"]),
            source=source,
        )
        is_sound = (
            type(checkpoint.size) is int
            and checkpoint.size >= 0
            and len(checkpoint.root_hash) == 32
            and checkpoint.at.tzinfo is not None
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidInput(f"{source}: not a checkpoint of the audit log ({error})") from error
    if not is_sound:
        raise InvalidInput(f"{source}: size, root hash or time of the checkpoint is out of range")
    return checkpoint


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint file; None when there is none.

    Raises:
        InvalidInput: the file is not a checkpoint.
        Unavailable: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(CHECKPOINT_BYTES_MAX + 1)
        text = content.decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: not a checkpoint of the audit log") from error
    except OSError as error:
        raise Unavailable(
            f"{path}: the checkpoint cannot be read ({error.strerror})",
            hint="check the permissions of the file",
        ) from error
    if len(content) > CHECKPOINT_BYTES_MAX:
        raise InvalidInput(f"{path}: too large for a checkpoint of the audit log")
    return parse_checkpoint(text, str(path))


def advance_checkpoint(reading: Reading, path: Path, now: datetime) -> Checkpoint | None:
    """Bring the checkpoint file up to the log's head; None when the log is empty and always was.

    The old checkpoint is replaced only when the log provably continues it, so that evidence of a
    cut or restored log is never overwritten. Writes mode 0600, aside and renamed.

    Raises:
        Corrupted: the log does not continue the checkpoint.
        InvalidInput: the file is not a checkpoint.
        Unavailable: the file cannot be read or written.
    """
    old = read_checkpoint(path)
    head = reading.audit_head()
    size = 0 if head is None else head.size
    if old is not None and size < old.size:
        raise Corrupted(
            f"the audit log has {size} records, but {old.size} are vouched for by {old.source}:"
            " the newest were deleted, or an old database was restored",
            hint=_HINT,
        )
    if head is None:
        if reading.latest_audit_records(1):
            raise Corrupted(
                "the audit log has records, and its head is gone: it was deleted from the database",
                hint=_HINT,
            )
        return old
    if old is not None:
        proof = prove_consistency(reading.audit_nodes, old.size, head.size)
        if not is_consistent(proof, old.root_hash, head.root_hash):
            raise Corrupted(
                f"the audit log does not continue the {old.size} records vouched for by {old.source}",
                hint=_HINT,
            )
        if old.size == head.size:
            return old
    checkpoint = Checkpoint(size=head.size, root_hash=head.root_hash, at=now, source=str(path))
    _write(path, json.dumps(checkpoint.to_json(), indent=2) + "\n")
    return checkpoint


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Unavailable(
            f"{path}: the checkpoint cannot be written ({error.strerror})",
            hint="free some space or check the permissions; the old checkpoint is unchanged",
        ) from error
