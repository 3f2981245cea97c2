"""One pass over the log, in blocks: what each position holds, and the tree as the records make it."""

import json
from collections.abc import Iterable, Mapping
from typing import TypeVar

from prometheus_ai.audit.canonical import canonical_json
from prometheus_ai.audit.tree import NodeId, NodeSource, fold, leaf_hash, node_hash, peaks
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.event import AuditRecord, TreeHead

BLOCK_LEVEL = 10
BLOCK = 1 << BLOCK_LEVEL
ANOMALIES_MAX = 100_000
"""Positions remembered as wrong; a bound on memory when a whole log was replaced."""

Key = TypeVar("Key")
Value = TypeVar("Value")

UNKNOWN = bytes(32)
"""Stands for a leaf of which neither record nor stored hash is left."""


class Scan:
    """Collects what is wrong. Feed every record in order of position, then call ``finish``."""

    def __init__(self, nodes: NodeSource, head: TreeHead, kept: Iterable[NodeId]) -> None:
        self.head = head
        self.records = 0
        self.absent: list[tuple[int, int]] = []
        """Positions without a record, as ranges."""
        self.displaced: dict[int, int] = {}
        """Position of an intact record, to the position where it belongs."""
        self.foreign: list[int] = []
        """Positions whose record is not the one that was hashed there."""
        self.extra: list[int] = []
        """Positions beyond the head that hold no intact record."""
        self.leaf_hash_edited: list[int] = []
        self.node_wrong: dict[NodeId, bytes] = {}
        """Stored hashes that differ from the records, with the hash that the records give."""
        self.nodes_missing: list[NodeId] = []
        self.is_complete = True
        self.computed: dict[NodeId, bytes | None] = dict.fromkeys(kept)
        self._nodes = nodes
        self._block: list[AuditRecord] = []
        self._start = 0
        self._stack: list[tuple[int, int, bytes]] = []

    def add(self, record: AuditRecord) -> bool:
        """Take the next record; true when a block was finished."""
        self.records += 1
        is_block_done = False
        while record.index >= self._start + BLOCK and self._start < self.head.size:
            self._finish_block()
            is_block_done = True
        if record.index >= self.head.size:
            self._take_extra(record)
        else:
            self._block.append(record)
        return is_block_done

    def finish(self) -> bytes:
        """Take in what is left and return the root that the records give."""
        while self._start < self.head.size:
            self._finish_block()
        return fold([node for _, _, node in self._stack])

    def _take_extra(self, record: AuditRecord) -> None:
        claimed = _claimed_index(record)
        stored = self._nodes([(0, claimed)]).get((0, claimed)) if claimed < self.head.size else None
        if stored is not None and _content_hash(record, stored) == stored:
            self._limited(self.displaced, record.index, claimed)
        elif len(self.extra) < ANOMALIES_MAX:
            self.extra.append(record.index)
        else:
            self.is_complete = False

    def _finish_block(self) -> None:
        start, end = self._start, min(self._start + BLOCK, self.head.size)
        stored = self._nodes(_complete_within(start, end))
        records = {record.index: record for record in self._block}
        self._block = []
        self._start = start + BLOCK
        hashes = {
            position: _content_hash(record, stored.get((0, position)))
            for position, record in records.items()
        }
        self._find_displaced(records, hashes, stored)
        leaves = []
        for position in range(start, end):
            record = records.get(position)
            if record is None:
                self._note_absent(position)
                leaves.append(stored.get((0, position), UNKNOWN))
            else:
                leaves.append(self._leaf(record, hashes, stored))
        self._climb(start, leaves, stored)

    def _find_displaced(
        self,
        records: Mapping[int, AuditRecord],
        hashes: Mapping[int, bytes],
        stored: Mapping[NodeId, bytes],
    ) -> None:
        claims = {}
        for position, record in records.items():
            claimed = _claimed_index(record)
            if claimed not in (position, -1) and hashes[position] != stored.get((0, position)):
                claims[position] = claimed
        if claims:
            genuine = self._nodes([(0, claimed) for claimed in claims.values()])
            for position, claimed in claims.items():
                expected = genuine.get((0, claimed))
                if expected is not None and _content_hash(records[position], expected) == expected:
                    self._limited(self.displaced, position, claimed)

    def _leaf(
        self, record: AuditRecord, hashes: Mapping[int, bytes], stored: Mapping[NodeId, bytes]
    ) -> bytes:
        position = record.index
        computed, expected = hashes[position], stored.get((0, position))
        if computed == expected:
            if record.leaf_hash != computed:
                self.leaf_hash_edited.append(position)
            return computed
        if position in self.displaced:
            return UNKNOWN if expected is None else expected
        if self._is_vouched_for(record, hashes, stored):
            return computed
        if len(self.foreign) < ANOMALIES_MAX:
            self.foreign.append(position)
        else:
            self.is_complete = False
        return computed if expected is None else expected

    def _is_vouched_for(
        self, record: AuditRecord, hashes: Mapping[int, bytes], stored: Mapping[NodeId, bytes]
    ) -> bool:
        """Whether the tree above agrees with the record, so that the stored leaf is what was edited."""
        position = record.index
        if _claimed_index(record) != position:
            return False
        computed, sibling = hashes[position], position ^ 1
        # With nothing above it left, the hash beside the record is the only other witness.
        is_said_twice = (0, position) not in stored and record.leaf_hash == computed
        if sibling >= self.head.size:
            ids = peaks(0, self.head.size)[:-1]
            others = self._nodes(ids)
            if len(others) < len(ids):
                return is_said_twice
            return fold([*(others[node_id] for node_id in ids), computed]) == self.head.root_hash
        parent = stored.get((1, position >> 1))
        if parent is None:
            return is_said_twice
        for other in (stored.get((0, sibling)), hashes.get(sibling)):
            pair = (computed, other) if position < sibling else (other, computed)
            if other is not None and node_hash(*pair) == parent:
                return True
        return False

    def _climb(self, start: int, leaves: list[bytes], stored: Mapping[NodeId, bytes]) -> None:
        end = start + len(leaves)
        levels = [leaves]
        while len(levels[-1]) > 1:
            below = levels[-1]
            levels.append(
                [node_hash(below[i], below[i + 1]) for i in range(0, len(below) // 2 * 2, 2)]
            )
        for level, row in enumerate(levels):
            for index, computed in enumerate(row, start >> level):
                self._compare((level, index), computed, stored.get((level, index)))
        for level, index in peaks(start, end):
            self._push(level, index, levels[level][index - (start >> level)])

    def _push(self, level: int, index: int, node: bytes) -> None:
        while self._stack and self._stack[-1][0] == level and index & 1:
            node = node_hash(self._stack.pop()[2], node)
            level, index = level + 1, index >> 1
            self._compare((level, index), node, self._nodes([(level, index)]).get((level, index)))
        self._stack.append((level, index, node))

    def _compare(self, node_id: NodeId, computed: bytes, stored: bytes | None) -> None:
        if node_id in self.computed:
            self.computed[node_id] = computed
        if computed in (stored, UNKNOWN):
            return
        if stored is not None:
            self._limited(self.node_wrong, node_id, computed)
        elif len(self.nodes_missing) < ANOMALIES_MAX:
            self.nodes_missing.append(node_id)

    def _note_absent(self, position: int) -> None:
        if self.absent and self.absent[-1][1] == position - 1:
            self.absent[-1] = (self.absent[-1][0], position)
        else:
            self.absent.append((position, position))

    def _limited(self, known: dict[Key, Value], key: Key, value: Value) -> None:
        if len(known) < ANOMALIES_MAX:
            known[key] = value
        else:
            self.is_complete = False


def _complete_within(start: int, end: int) -> list[NodeId]:
    return [
        (level, index)
        for level in range(BLOCK_LEVEL + 1)
        for index in range(start >> level, end >> level)
    ]


def _claimed_index(record: AuditRecord) -> int:
    claimed = record.event.get("index")
    return claimed if type(claimed) is int and claimed >= 0 else -1


def _content_hash(record: AuditRecord, expected: bytes | None) -> bytes:
    # The standard encoder is four times as fast and nearly always writes the same bytes; equal hashes prove it.
    quick = json.dumps(record.event, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    computed = leaf_hash(quick.encode("utf-8", "surrogatepass"))
    if computed == expected:
        return computed
    try:
        return leaf_hash(canonical_json(record.event))
    except InvalidInput:
        return computed
