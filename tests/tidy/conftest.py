"""The tree is read and parsed once for all of tidy."""

import pytest

from tests.tidy.tree import Tree, read_tree


@pytest.fixture(scope="session")
def tree() -> Tree:
    return read_tree()
