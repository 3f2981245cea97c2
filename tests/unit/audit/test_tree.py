"""The tree against the published vectors and against RFC 6962's own recursive definitions."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_ai.audit.proofs import (
    ConsistencyProof,
    InclusionProof,
    is_consistent,
    is_included,
    prove_consistency,
    prove_inclusion,
)
from prometheus_ai.audit.tree import EMPTY_ROOT, NodeId, completed_by, leaf_hash, range_root
from prometheus_ai.domain.errors import Corrupted, InvalidInput

# Inputs and roots of the Certificate Transparency reference implementation.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Tree:
    """A log of made-up leaves, kept as a store keeps it."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves
        self.nodes: dict[NodeId, bytes] = {}
        for size, leaf in enumerate(leaves):
            self.nodes.update(completed_by(size, leaf, self.nodes))

    def source(self, ids: object) -> dict[NodeId, bytes]:
        return dict(self.nodes)

    def root(self, size: int) -> bytes:
        return range_root(0, size, self.nodes)


def made(size: int) -> Tree:
    return Tree([leaf_hash(bytes([index])) for index in range(size)])


def split(leaves: list[bytes]) -> int:
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return middle


def rfc_root(leaves: list[bytes]) -> bytes:
    """MTH of section 2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(leaves)
    return hashlib.sha256(b"\x01" + rfc_root(leaves[:k]) + rfc_root(leaves[k:])).digest()


def rfc_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(leaves)
    if index < k:
        return [*rfc_path(index, leaves[:k]), rfc_root(leaves[k:])]
    return [*rfc_path(index - k, leaves[k:]), rfc_root(leaves[:k])]


def rfc_subproof(size: int, leaves: list[bytes], is_whole: bool) -> list[bytes]:
    """SUBPROOF of section 2.1.2."""
    if size == len(leaves):
        return [] if is_whole else [rfc_root(leaves)]
    k = split(leaves)
    if size <= k:
        return [*rfc_subproof(size, leaves[:k], is_whole), rfc_root(leaves[k:])]
    return [*rfc_subproof(size - k, leaves[k:], False), rfc_root(leaves[:k])]


@pytest.mark.parametrize("size", range(9))
def test_roots_equal_the_reference_implementation(size: int) -> None:
    assert Tree([leaf_hash(data) for data in INPUTS]).root(size).hex() == ROOTS[size]


@pytest.mark.parametrize("size", range(1, 34))
def test_every_proof_equals_the_definition_and_verifies(size: int) -> None:
    tree = made(size)
    assert tree.root(size) == rfc_root(tree.leaves)
    for index, leaf in enumerate(tree.leaves):
        proof = prove_inclusion(tree.source, index, size)
        assert list(proof.path) == rfc_path(index, tree.leaves)
        assert is_included(leaf, proof, tree.root(size))
    for old_size in range(size + 1):
        grown = prove_consistency(tree.source, old_size, size)
        if old_size:
            assert list(grown.path) == rfc_subproof(old_size, tree.leaves, True)
        assert is_consistent(grown, tree.root(old_size), tree.root(size))


@given(size=st.integers(1, 70), data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_changed_inclusion_proof_verifies(size: int, data: st.DataObject) -> None:
    tree = made(size)
    index = data.draw(st.integers(0, size - 1))
    proof = prove_inclusion(tree.source, index, size)
    leaf, root = tree.leaves[index], tree.root(size)
    assert not is_included(leaf_hash(b"other"), proof, root)
    assert not is_included(leaf, proof, leaf_hash(b"other"))
    other = data.draw(st.integers(-1, 70).filter(lambda i: i != index))
    assert not is_included(leaf, InclusionProof(index=other, size=size, path=proof.path), root)
    path = list(proof.path)
    place = data.draw(st.integers(0, len(path)))
    for changed in (
        [*path[:place], b"x" * 32, *path[place:]],
        [*path[:place], *path[place + 1 :]],
        [*path[:place], b"x" * 32, *path[place + 1 :]],
    ):
        if changed != path:
            wrong = InclusionProof(index=index, size=size, path=tuple(changed))
            assert not is_included(leaf, wrong, root)


@given(size=st.integers(2, 70), data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_changed_consistency_proof_verifies(size: int, data: st.DataObject) -> None:
    tree = made(size)
    old_size = data.draw(st.integers(1, size - 1))
    proof = prove_consistency(tree.source, old_size, size)
    old_root, root = tree.root(old_size), tree.root(size)
    assert not is_consistent(proof, leaf_hash(b"other"), root)
    assert not is_consistent(proof, old_root, leaf_hash(b"other"))
    path = list(proof.path)
    place = data.draw(st.integers(0, len(path)))
    for changed in (
        [*path[:place], b"x" * 32, *path[place:]],
        [*path[:place], *path[place + 1 :]],
        [*path[:place], b"x" * 32, *path[place + 1 :]],
    ):
        if changed != path:
            wrong = ConsistencyProof(old_size=old_size, size=size, path=tuple(changed))
            assert not is_consistent(wrong, old_root, root)


def test_a_log_is_consistent_with_itself_and_with_the_empty_one() -> None:
    tree = made(5)
    assert is_consistent(prove_consistency(tree.source, 5, 5), tree.root(5), tree.root(5))
    assert not is_consistent(prove_consistency(tree.source, 5, 5), tree.root(4), tree.root(5))
    assert is_consistent(prove_consistency(tree.source, 0, 5), EMPTY_ROOT, tree.root(5))
    assert not is_consistent(prove_consistency(tree.source, 0, 5), tree.root(1), tree.root(5))


def test_proofs_outside_the_log_are_refused() -> None:
    tree = made(3)
    for index in (-1, 3):
        with pytest.raises(InvalidInput, match="no record"):
            prove_inclusion(tree.source, index, 3)
    with pytest.raises(InvalidInput, match="not an earlier one"):
        prove_consistency(tree.source, 4, 3)


def test_a_missing_stored_hash_is_corruption() -> None:
    tree = made(8)
    del tree.nodes[2, 1]
    with pytest.raises(Corrupted, match="records 4 to 7"):
        prove_inclusion(tree.source, 0, 8)
