"""Verifies the audit log in a process of its own, so that a long log takes no time from the control plane.

``python -m prometheus_ai.compose.audit_check DATABASE`` reads checkpoints from standard input and writes a report.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.audit import Checkpoint, parse_checkpoint, verify
from prometheus_ai.audit.report import Finding, FindingKind, VerificationReport
from prometheus_ai.domain.errors import PlatformError, Unavailable

TIMEOUT_S = 3600.0
NICENESS = 10
"""It yields to traffic and to the control plane."""


def check_apart(
    database: Path, checkpoints: Sequence[Checkpoint], *, timeout_s: float = TIMEOUT_S
) -> VerificationReport:
    """Verify the log of a database in another process.

    Raises:
        Unavailable: it failed, or took longer than the bound.
    """
    asked = json.dumps([{**one.to_json(), "source": one.source} for one in checkpoints])
    try:
        done = subprocess.run(
            [sys.executable, "-m", "prometheus_ai.compose.audit_check", str(database)],
            input=asked, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"the audit log could not be verified: {error}") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise Unavailable(f"the audit log could not be verified: {last}")
    found = json.loads(done.stdout)
    return VerificationReport(
        records=found["records"],
        head=None,
        root_hash=bytes.fromhex(found["root_hash"]),
        findings=tuple(
            Finding(kind=FindingKind(kind), first=first, last=last, detail=detail)
            for kind, first, last, detail in found["findings"]
        ),
        checkpoints=found["checkpoints"],
        is_complete=found["is_complete"],
    )


def main() -> None:
    """Verify, and write the report; end early when the control plane is gone."""
    os.nice(NICENESS)
    parent = os.getppid()
    asked = json.load(sys.stdin)
    checkpoints = [parse_checkpoint(json.dumps(one), one["source"]) for one in asked]

    def look(_records: int) -> None:
        if os.getppid() != parent:
            raise SystemExit("nobody waits for the report")

    store = SqlStore.open(Path(sys.argv[1]))
    try:
        with store.read() as reading:
            report = verify(reading, checkpoints=checkpoints, progress=look)
    finally:
        store.close()
    shown = {
        "records": report.records,
        "root_hash": report.root_hash.hex(),
        "findings": [[one.kind.value, one.first, one.last, one.detail] for one in report.findings],
        "checkpoints": report.checkpoints,
        "is_complete": report.is_complete,
    }
    json.dump(shown, sys.stdout)


if __name__ == "__main__":
    try:
        main()
    except PlatformError as failure:
        raise SystemExit(failure.message) from failure
