"""One control plane over fakes for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.api.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.start()
    yield world
    world.stop()
