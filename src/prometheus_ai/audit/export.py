"""The log as JSON lines that anyone can verify with a SHA-256 function."""

import json
from collections.abc import Iterator
from datetime import datetime

from prometheus_ai.audit.canonical import canonical_json, time_text
from prometheus_ai.audit.tree import EMPTY_ROOT
from prometheus_ai.domain.event import TreeHead
from prometheus_ai.ports.state_store import Reading

FORMAT = "pai-audit-export/1"
RECORDS_AT_ONCE = 1_000


def export(reading: Reading, now: datetime) -> Iterator[str]:
    """Yield the log line by line: a header, every record with its leaf hash, and the tree head.

    ``record`` is the hashed text itself, so that a verifier needs no JSON canonicaliser.
    """
    head = reading.audit_head() or TreeHead(size=0, root_hash=EMPTY_ROOT)
    yield _line({"format": FORMAT, "size": head.size, "exported_at": time_text(now)})
    start = 0
    while records := reading.audit_records(start, RECORDS_AT_ONCE):
        for record in records:
            yield _line(
                {
                    "index": record.index,
                    "leaf_hash": record.leaf_hash.hex(),
                    "record": canonical_json(record.event).decode(),
                }
            )
        start = records[-1].index + 1
    yield _line({"size": head.size, "root_hash": head.root_hash.hex()})


def _line(content: dict[str, object]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"
