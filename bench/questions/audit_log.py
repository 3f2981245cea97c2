"""How fast is the audit log, and how large may it grow?

Questions: durable appends a second by batch size (budget: 5,000 in batches), and time of an inclusion and a
consistency proof at 1,000,000 records (budget: 1 ms). Beside them, in the same run and on the same disk:
synced writes a second, and what hashing and canonical JSON alone would allow.

    python -m bench.questions.audit_log [--records 1000000] [--folder DIR]
"""

import argparse
import hashlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import rfc8785

from bench.harness.card import publish
from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.audit import (
    is_consistent,
    is_included,
    prove_consistency,
    prove_inclusion,
    record_events,
    verify,
)
from prometheus_ai.domain.event import Event, Kind

Proof = TypeVar("Proof")

APPEND_BUDGET = 5_000
PROOF_BUDGET_S = 0.001
SECONDS_EACH = 2.0
EVENT = Event(
    kind=Kind.ROUTE_WANTED,
    actor="alice",
    reason="canary looks good",
    backend="digits",
    version="v2",
    before={"v1": 9000, "v2": 1000},
    after={"v2": 10000},
    at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
)


def rate(action: Callable[[], int], seconds: float = SECONDS_EACH) -> float:
    """Return how much an action does in a second."""
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        done += action()
    return done / (time.perf_counter() - start)


def append(store: SqlStore, count: int) -> int:
    """Append records in one durable change."""
    with store.write() as tx:
        record_events(tx, [EVENT] * count)
    return count


def physical_limits(folder: Path) -> dict[str, float]:
    """Return what disk and hash function allow on this machine, now."""
    handle = os.open(folder / "synced", os.O_WRONLY | os.O_CREAT, 0o600)

    def synced_write() -> int:
        os.write(handle, b"x" * 4096)
        os.fsync(handle)
        return 1

    content: dict[str, Any] = {
        "index": 1,
        "after": {"v2": 10000},
        "before": {"v1": 9000},
        "reason": EVENT.reason,
    }
    limits: dict[str, float] = {
        "synced_4k_writes_per_s": round(rate(synced_write)),
        "sha256_of_1k_per_s": round(rate(lambda: bool(hashlib.sha256(b"x" * 1024).digest()))),
        "canonical_json_per_s": round(rate(lambda: bool(rfc8785.dumps(content)))),
    }
    os.close(handle)
    return limits


def proof_times(store: SqlStore, count: int) -> dict[str, Any]:
    """Time proofs from the store; each is verified outside the time taken."""
    chance = random.Random(1)
    taken: dict[str, list[tuple[float, float]]] = {"inclusion_proof": [], "consistency_proof": []}

    def timed(kind: str, prove: Callable[[], Proof]) -> Proof:
        start = time.perf_counter(), time.process_time()
        proof = prove()
        end = time.perf_counter(), time.process_time()
        taken[kind].append((end[0] - start[0], end[1] - start[1]))
        return proof

    with store.read() as view:
        head = view.audit_head()
        assert head is not None
        size, nodes = head.size, view.audit_nodes
        for _ in range(count):
            index, old_size = chance.randrange(size), chance.randrange(1, size)
            included = timed("inclusion_proof", partial(prove_inclusion, nodes, index, size))
            grown = timed("consistency_proof", partial(prove_consistency, nodes, old_size, size))
            leaf = view.audit_records(index, 1)[0].leaf_hash
            assert is_included(leaf, included, head.root_hash)
            assert not is_consistent(grown, leaf, head.root_hash)
    return {
        f"{kind}_s": {
            "p50": round(statistics.median(wall for wall, _ in both), 6),
            "p99": round(statistics.quantiles([wall for wall, _ in both], n=100)[98], 6),
            "cpu_p99": round(statistics.quantiles([cpu for _, cpu in both], n=100)[98], 6),
        }
        for kind, both in taken.items()
    }


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        limits = physical_limits(folder)
        store = SqlStore.open(folder / "pai.db")
        appends = {
            f"batch_{size}": round(rate(lambda size=size: append(store, size)))  # type: ignore[misc]
            for size in (1, 10, 100, 1000)
        }
        with store.read() as view:
            head = view.audit_head()
        size = 0 if head is None else head.size
        while size < options.records:
            size += append(store, min(1000, options.records - size))
        proofs = proof_times(store, 1000)
        start = time.perf_counter()
        with store.read() as view:
            report = verify(view)
        verified_s = time.perf_counter() - start
        assert report.is_sound
        start = time.perf_counter()
        store.close()
        SqlStore.open(folder / "pai.db").close()
        reopened_s = time.perf_counter() - start
        size_bytes = (folder / "pai.db").stat().st_size
    publish(
        "audit_log",
        {
            "records": size,
            "appends_per_s": appends,
            **proofs,
            "limits": limits,
            "verify_whole_log_s": round(verified_s, 2),
            "open_with_check_s": round(reopened_s, 2),
            "bytes_per_record": round(size_bytes / size),
            "budget": {"appends_per_s_in_batches": APPEND_BUDGET, "proof_s": PROOF_BUDGET_S},
            "is_within_budget": appends["batch_100"] >= APPEND_BUDGET
            # The CPU's p99, because the wall's is that of whatever else the machine does.
            and max(max(kind["p50"], kind["cpu_p99"]) for kind in proofs.values())
            <= PROOF_BUDGET_S,
        },
    )


if __name__ == "__main__":
    main()
