"""Appending events to the log."""

from collections.abc import Sequence

from prometheus_ai.audit.canonical import EVENT_BYTES_MAX, canonical_json, record_content
from prometheus_ai.audit.tree import NodeId, completed_by, fold, leaf_hash, peaks
from prometheus_ai.domain.errors import Corrupted, InvalidInput
from prometheus_ai.domain.event import AuditRecord, Event, TreeHead
from prometheus_ai.ports.state_store import Writing


def record_event(tx: Writing, event: Event) -> AuditRecord:
    """Append one event in the transaction that makes the change.

    Raises:
        InvalidInput: the event is not plain data, or larger than 1 MiB.
        Corrupted: the stored tree does not fit its own head, so nothing may be built on it.
    """
    return record_events(tx, (event,))[0]


def record_events(tx: Writing, events: Sequence[Event]) -> list[AuditRecord]:
    """Append events in order, in one transaction. Raises as ``record_event`` does."""
    head = tx.audit_head() or _first_head(tx)
    frontier = _frontier(tx, head)
    records = []
    for event in events:
        index = head.size
        content = record_content(event, index)
        written = canonical_json(content)
        if len(written) > EVENT_BYTES_MAX:
            raise InvalidInput(
                f"the audit record of {event.kind} has {len(written)} bytes;"
                f" at most {EVENT_BYTES_MAX} are kept",
                hint="record a digest of large content instead of the content",
            )
        record = AuditRecord(index=index, event=content, leaf_hash=leaf_hash(written))
        made = completed_by(index, record.leaf_hash, frontier)
        frontier.update(made)
        frontier = {node_id: frontier[node_id] for node_id in peaks(0, index + 1)}
        head = TreeHead(size=index + 1, root_hash=fold(list(frontier.values())))
        tx.append_audit(record, made, head)
        records.append(record)
    return records


def _first_head(tx: Writing) -> TreeHead:
    if tx.latest_audit_records(1):
        raise Corrupted(
            "the audit log has records, and its head is gone: it was deleted from the database",
            hint="run: pai audit verify",
        )
    return TreeHead(size=0, root_hash=fold(()))


def _frontier(tx: Writing, head: TreeHead) -> dict[NodeId, bytes]:
    ids = peaks(0, head.size)
    stored = tx.audit_nodes(ids)
    frontier = {node_id: stored[node_id] for node_id in ids if node_id in stored}
    if len(frontier) < len(ids) or fold(list(frontier.values())) != head.root_hash:
        raise Corrupted(
            f"the audit log's stored tree does not match its head at {head.size} records",
            hint="run: pai audit verify",
        )
    return frontier
