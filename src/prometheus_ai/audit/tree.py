"""The Merkle tree of RFC 6962, section 2.1, over stored hashes of complete subtrees.

A subtree ``(level, index)`` covers the leaves ``index * 2^level`` up to the next multiple. Complete subtrees
never change, so each is stored once; a log of any size is a few of them, its peaks.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence

NodeId = tuple[int, int]
NodeSource = Callable[[Sequence[NodeId]], Mapping[NodeId, bytes]]

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(content: bytes) -> bytes:
    """Hash one record."""
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into one."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def peaks(start: int, end: int) -> list[NodeId]:
    """Return the complete subtrees that make up leaves ``start`` to ``end``, left to right.

    ``start`` must be a multiple of a power of two that is no smaller than the range's length rounded up,
    as every range in an RFC 6962 proof is.
    """
    found: list[NodeId] = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root over peaks given left to right."""
    if not hashes:
        return EMPTY_ROOT
    *others, root = hashes
    for left in reversed(others):
        root = node_hash(left, root)
    return root


def range_root(start: int, end: int, nodes: Mapping[NodeId, bytes]) -> bytes:
    """Return the root of leaves ``start`` to ``end``.

    Raises:
        KeyError: ``nodes`` lacks one of the range's peaks.
    """
    return fold([nodes[node_id] for node_id in peaks(start, end)])


def completed_by(size: int, leaf: bytes, nodes: Mapping[NodeId, bytes]) -> dict[NodeId, bytes]:
    """Return the subtrees that become complete when ``leaf`` is appended to ``size`` leaves.

    Raises:
        KeyError: ``nodes`` lacks one of the old peaks.
    """
    made = {(0, size): leaf}
    level, index, right = 0, size, leaf
    while index & 1:
        right = node_hash(nodes[level, index - 1], right)
        level, index = level + 1, index >> 1
        made[level, index] = right
    return made
