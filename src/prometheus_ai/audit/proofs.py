"""Inclusion and consistency proofs: RFC 6962, section 2.1; verified as RFC 9162, section 2.1, spells out."""

from dataclasses import dataclass

from prometheus_ai.audit.tree import EMPTY_ROOT, NodeSource, node_hash, peaks, range_root
from prometheus_ai.domain.errors import Corrupted, InvalidInput

Range = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class InclusionProof:
    """Shows that one record is in the log of some size."""

    index: int
    size: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsistencyProof:
    """Shows that a log is an earlier one with records appended, and nothing else."""

    old_size: int
    size: int
    path: tuple[bytes, ...]


def prove_inclusion(nodes: NodeSource, index: int, size: int) -> InclusionProof:
    """Build a proof from stored subtree hashes: one look-up, at most 2 log2(size) hashes.

    Raises:
        InvalidInput: the index is outside a log of that size.
        Corrupted: a stored hash is missing.
    """
    if not 0 <= index < size:
        raise InvalidInput(f"there is no record {index} in a log of {size}")
    siblings: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _left_size(end - start)
        if index < middle:
            siblings.append((middle, end))
            end = middle
        else:
            siblings.append((start, middle))
            start = middle
    return InclusionProof(index=index, size=size, path=_roots(nodes, siblings[::-1]))


def prove_consistency(nodes: NodeSource, old_size: int, size: int) -> ConsistencyProof:
    """Build a proof from stored subtree hashes.

    Raises:
        InvalidInput: the old log is not shorter than or equal to the new one.
        Corrupted: a stored hash is missing.
    """
    if not 0 <= old_size <= size:
        raise InvalidInput(f"a log of {old_size} records is not an earlier one of {size}")
    if old_size in (0, size):
        return ConsistencyProof(old_size=old_size, size=size, path=())
    parts: list[Range] = []
    start, end, is_whole = 0, size, True
    while end != old_size:
        middle = start + _left_size(end - start)
        if old_size <= middle:
            parts.append((middle, end))
            end = middle
        else:
            parts.append((start, middle))
            start, is_whole = middle, False
    if not is_whole:
        parts.append((start, end))
    return ConsistencyProof(old_size=old_size, size=size, path=_roots(nodes, parts[::-1]))


def is_included(leaf: bytes, proof: InclusionProof, root: bytes) -> bool:
    """Whether the proof shows that ``leaf`` is in the log with this root."""
    if not 0 <= proof.index < proof.size:
        return False
    position, last, computed = proof.index, proof.size - 1, leaf
    for sibling in proof.path:
        if last == 0:
            return False
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and computed == root


def is_consistent(proof: ConsistencyProof, old_root: bytes, root: bytes) -> bool:
    """Whether the proof shows that the log with ``root`` begins with the log with ``old_root``."""
    if proof.old_size == proof.size:
        return not proof.path and old_root == root
    if not 0 < proof.old_size < proof.size:
        return proof.old_size == 0 and not proof.path and old_root == EMPTY_ROOT
    path = list(proof.path)
    if proof.old_size & (proof.old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    position, last = proof.old_size - 1, proof.size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_computed = computed = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_computed = node_hash(sibling, old_computed)
            computed = node_hash(sibling, computed)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old_computed == old_root and computed == root


def _left_size(size: int) -> int:
    """The largest power of two smaller than ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def _roots(nodes: NodeSource, ranges: list[Range]) -> tuple[bytes, ...]:
    stored = nodes([node_id for start, end in ranges for node_id in peaks(start, end)])
    try:
        return tuple(range_root(start, end, stored) for start, end in ranges)
    except KeyError as error:
        level, index = error.args[0]
        raise Corrupted(
            f"the audit log's stored hash of records {index << level} to {((index + 1) << level) - 1}"
            " is missing",
            hint="run: pai audit verify",
        ) from error
