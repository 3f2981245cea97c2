"""Whole-log verification: every record hashed again, and every difference named."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_ai.audit.checkpoint import Checkpoint
from prometheus_ai.audit.report import (
    Finding,
    FindingKind,
    VerificationReport,
    name_records,
    runs,
)
from prometheus_ai.audit.scan import ANOMALIES_MAX, BLOCK, Scan
from prometheus_ai.audit.tree import EMPTY_ROOT, NodeId, NodeSource, fold, node_hash, peaks
from prometheus_ai.domain.event import TreeHead
from prometheus_ai.ports.state_store import Reading

FINDINGS_MAX = 1_000
NODES_EXPLORED_MAX = 10_000

Progress = Callable[[int], None]


def verify(
    reading: Reading,
    *,
    checkpoints: Sequence[Checkpoint] = (),
    progress: Progress | None = None,
) -> VerificationReport:
    """Hash every record again, and hold the log against itself and against checkpoints.

    Records, the hashes beside them, the stored tree and its head must agree; where they do not, the tree
    decides which of them was changed. ``progress`` is told the number of records read.
    """
    head = _assumed_head(reading)
    kept = {
        node_id
        for checkpoint in checkpoints
        if checkpoint.size <= head.size
        for node_id in peaks(0, checkpoint.size)
    }
    scan = Scan(reading.audit_nodes, head, kept)
    start = 0
    while records := reading.audit_records(start, BLOCK):
        for record in records:
            if scan.add(record) and progress is not None:
                progress(scan.records)
        start = records[-1].index + 1
    root = scan.finish()
    findings = [
        *_record_findings(scan),
        *_tree_findings(scan, root, reading),
        *_checkpoint_findings(scan, checkpoints),
    ]
    findings.sort(key=lambda finding: (finding.first, finding.last))
    return VerificationReport(
        records=scan.records,
        head=reading.audit_head(),
        root_hash=root,
        findings=tuple(findings[:FINDINGS_MAX]),
        checkpoints=len(checkpoints),
        is_complete=scan.is_complete and len(findings) <= FINDINGS_MAX,
    )


def _assumed_head(reading: Reading) -> TreeHead:
    """The stored head; without one, a head over whatever records there are."""
    head = reading.audit_head()
    if head is not None:
        return head
    newest = reading.latest_audit_records(1)
    return TreeHead(size=newest[0].index + 1 if newest else 0, root_hash=EMPTY_ROOT)


def _record_findings(scan: Scan) -> Iterator[Finding]:
    elsewhere = set(scan.displaced.values())
    edited = [position for position in scan.foreign if position not in elsewhere]
    inserted = [position for position in scan.foreign if position in elsewhere]
    for first, last in runs(edited):
        yield _made(FindingKind.RECORD_EDITED, first, last, "changed after it was written")
    for first, last in runs(sorted([*inserted, *scan.extra])):
        yield _made(FindingKind.RECORD_INSERTED, first, last, "put in without the log")
    for first, last in runs(_gone(scan, elsewhere)):
        yield _made(FindingKind.RECORD_DELETED, first, last, "gone")
    for first, last in runs(scan.leaf_hash_edited):
        yield _made(
            FindingKind.LEAF_HASH_EDITED,
            first,
            last,
            "intact, but the hash stored beside it was changed",
        )
    yield from _moves(scan.displaced)


def _gone(scan: Scan, elsewhere: set[int]) -> list[int]:
    gone = [position for position in scan.displaced if position < scan.head.size]
    for first, last in scan.absent:
        gone.extend(range(first, min(last, first + ANOMALIES_MAX) + 1))
    return sorted(position for position in gone if position not in elsewhere)


def _moves(displaced: Mapping[int, int]) -> Iterator[Finding]:
    """One finding for each run of records that were moved by the same distance."""
    started = previous = None
    for position in [*sorted(displaced), None]:
        follows = (
            position is not None
            and previous is not None
            and position == previous + 1
            and displaced[position] == displaced[previous] + 1
        )
        if not follows:
            if started is not None and previous is not None:
                first, last = displaced[started], displaced[previous]
                where = name_records(started, previous).partition(" ")[2]
                yield _made(FindingKind.RECORD_MOVED, first, last, f"stored at {where}")
            started = position
        previous = position


def _tree_findings(scan: Scan, root: bytes, reading: Reading) -> Iterator[Finding]:
    head, stored_head = scan.head, reading.audit_head()
    if head.size == 0:
        return
    whole = (0, head.size - 1)
    if stored_head is None:
        yield _made(FindingKind.HEAD_EDITED, whole[0], whole[1], "the log's head is gone")
    is_head_right = root == head.root_hash
    if not is_head_right and stored_head is not None:
        ids = peaks(0, head.size)
        stored = reading.audit_nodes(ids)
        if len(stored) == len(ids) and fold([stored[i] for i in ids]) == head.root_hash:
            yield from _Search(scan, reading.audit_nodes).findings(stored)
            return
        yield _made(
            FindingKind.HEAD_EDITED,
            whole[0],
            whole[1],
            "the log's head (size or root) is not that of its records",
        )
    for text, ids in (("changed", list(scan.node_wrong)), ("gone", scan.nodes_missing)):
        if ids:
            yield _node_finding(text, ids)


def _node_finding(what: str, ids: Sequence[NodeId]) -> Finding:
    first = min(index << level for level, index in ids)
    last = max(((index + 1) << level) - 1 for level, index in ids)
    return _made(
        FindingKind.NODE_EDITED,
        first,
        last,
        f"intact, but {len(ids)} stored hashes of the tree over them: {what}",
    )


class _Search:
    """Walks down from a root that can be trusted to the records that do not fit it."""

    def __init__(self, scan: Scan, nodes: NodeSource) -> None:
        self._scan = scan
        self._nodes = nodes
        self._explored = 0
        known = {*scan.foreign, *scan.displaced}
        known.update(position for span in scan.absent for position in span)
        self._known = known

    def findings(self, trusted: Mapping[NodeId, bytes]) -> Iterator[Finding]:
        """Yield what lies under subtrees whose hashes are known to be right."""
        for node_id in sorted(trusted, reverse=True):
            yield from self._below(node_id, trusted[node_id])

    def _below(self, node_id: NodeId, trusted: bytes) -> Iterator[Finding]:
        computed = self._computed(node_id)
        if computed == trusted:
            return
        self._explored += 1
        level, index = node_id
        left, right = (level - 1, 2 * index), (level - 1, 2 * index + 1)
        children = None
        if level > 0 and self._explored < NODES_EXPLORED_MAX:
            children = self._right_children(left, right, trusted)
        if children is not None:
            yield from self._below(left, children[0])
            yield from self._below(right, children[1])
            return
        first, last = index << level, ((index + 1) << level) - 1
        if not any(first <= position <= last for position in self._known):
            yield _made(
                FindingKind.RECORD_EDITED,
                first,
                last,
                "changed together with its stored hashes"
                if first == last
                else "one or more of them changed together with their stored hashes",
            )

    def _right_children(
        self, left: NodeId, right: NodeId, trusted: bytes
    ) -> tuple[bytes, bytes] | None:
        stored = self._nodes([left, right])
        for one in (stored.get(left), self._computed(left)):
            for other in (stored.get(right), self._computed(right)):
                if one is not None and other is not None and node_hash(one, other) == trusted:
                    return one, other
        return None

    def _computed(self, node_id: NodeId) -> bytes | None:
        wrong = self._scan.node_wrong.get(node_id)
        return wrong if wrong is not None else self._nodes([node_id]).get(node_id)


def _checkpoint_findings(scan: Scan, checkpoints: Sequence[Checkpoint]) -> Iterator[Finding]:
    matched = 0
    for checkpoint in sorted(checkpoints, key=lambda checkpoint: checkpoint.size):
        vouched = f"vouched for by {checkpoint.source} at {checkpoint.at.isoformat()}"
        if checkpoint.size > scan.head.size:
            first, last = scan.head.size, checkpoint.size - 1
            yield _made(
                FindingKind.ROLLED_BACK,
                first,
                last,
                f"{vouched}, and gone; the newest were deleted, or an old database was restored",
            )
            continue
        hashes = [scan.computed[node_id] for node_id in peaks(0, checkpoint.size)]
        if fold([node or b"" for node in hashes]) == checkpoint.root_hash:
            matched = checkpoint.size
            continue
        first, last = matched, max(checkpoint.size - 1, matched)
        yield _made(FindingKind.REWRITTEN, first, last, f"not as {vouched}")


def _made(kind: FindingKind, first: int, last: int, detail: str) -> Finding:
    return Finding(kind=kind, first=first, last=last, detail=detail)
