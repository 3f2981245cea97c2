"""The Docker driver keeps the port's promises, on real containers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prometheus_ai.testing.driver_contract import DriverContract
from tests.contract.docker_target import DockerTarget

pytestmark = [pytest.mark.e2e, pytest.mark.requires("docker")]


class TestDockerDriver(DriverContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[DockerTarget]:
        target = DockerTarget(tmp_path)
        yield target
        target.close()
