"""A Docker target whose images hold a stand-in for the model server."""

import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from prometheus_ai.adapters.docker_engine import DockerEngine
from prometheus_ai.adapters.drivers.docker.driver import DockerDriver, DockerOptions
from prometheus_ai.domain.image import (
    CONFIG_FILE,
    LABEL_HOME,
    LABEL_LOCK,
    LABEL_MODEL,
    LABEL_RELEASE,
    LABEL_REPLICA,
    LABEL_WEIGHTS,
    MODEL_FOLDER,
)
from prometheus_ai.domain.release import Artefact, Release
from prometheus_ai.domain.replica import Observed, ReplicaPhase
from prometheus_ai.ports.driver import Progress, ReplicaOrder
from prometheus_ai.testing.fake_driver import Behaviour
from tests.contract.orders import STANDIN, plan_of, standin_order

BASE = "python:3.11-slim"
STANDIN_IMAGE = "pai-test/standin:1"
BOUND_S = 60.0


def docker(*words: str, text: str = "") -> str:
    """Run the docker command."""
    done = subprocess.run(
        ["docker", *words], input=text, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()


def build(folder: Path, tag: str, dockerfile: str) -> None:
    """Build an image with the classic builder, which every engine has."""
    (folder / "Dockerfile").write_text(dockerfile)
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", tag, str(folder)],
        env={"DOCKER_BUILDKIT": "0", "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        check=True,
        timeout=300,
    )


@cache
def standin_image(folder: Path) -> str:
    """Make the image that all tests of a run share."""
    shutil.copyfile(STANDIN, folder / "pai-runtime")
    (folder / "config.json").write_text(json.dumps({"path": f"{MODEL_FOLDER}/model"}))
    build(
        folder,
        STANDIN_IMAGE,
        f"""FROM {BASE}
COPY pai-runtime /opt/pai/pai-runtime
COPY config.json {CONFIG_FILE}
ENTRYPOINT ["python3", "-I", "-B", "/opt/pai/pai-runtime"]
""",
    )
    return STANDIN_IMAGE


class StandinImages:
    """Implements ReleaseImages with the stand-in."""

    def __init__(self, folder: Path, home: str, weights: str) -> None:
        self._folder = folder
        self._home = home
        self._weights = weights

    def make(self, release: Release, lock_path: Path, progress: Progress) -> None:
        labels = {
            LABEL_HOME: self._home,
            LABEL_RELEASE: f"{release.id}@{release.digest}",
            LABEL_LOCK: release.inputs.lock.digest,
            LABEL_MODEL: release.inputs.model.digest,
            LABEL_WEIGHTS: self._weights,
        }
        lines = "".join(f'LABEL {name}="{value}"\n' for name, value in labels.items())
        standin = standin_image(self._folder.parent)
        build(self._folder, f"pai-test-{self._home}/digits:v1", f"FROM {standin}\n{lines}")
        progress("made")


class DockerTarget:
    """The harness of the driver contract over real containers."""

    def __init__(
        self, root: Path, options: Mapping[str, Any] | None = None, *, weights: str = "mount"
    ) -> None:
        self.root = root
        self.home = secrets.token_hex(4)
        self.options = DockerOptions(target="docker", home=self.home, **(options or {}))
        context = root / "image" / "context"
        context.mkdir(parents=True)
        self.images = StandinImages(context, self.home, weights)
        self.drivers: list[DockerDriver] = []
        self.driver = self.reopen()
        order = self.order("prepared", Behaviour())
        self.driver.prepare(order.release, order.lock_path, lambda _: None)

    def reopen(self) -> DockerDriver:
        """Open another driver on the same engine."""
        driver = DockerDriver(DockerEngine(), self.images, self.root / "logs", self.options)
        self.drivers.append(driver)
        return driver

    def order(self, replica_id: str, behaviour: Behaviour) -> ReplicaOrder:
        """Return an order for a stand-in that behaves so."""
        return self.order_plan(replica_id, plan_of(behaviour))

    def order_plan(self, replica_id: str, plan: dict[str, Any], **more: Any) -> ReplicaOrder:
        """Return an order for a stand-in that follows ``plan``."""
        order = standin_order(self.root, replica_id, plan, **more)
        model: Artefact = replace(order.release.inputs.model, name="model")
        inputs = replace(order.release.inputs, model=model)
        return replace(order, release=replace(order.release, inputs=inputs))

    def until(self, happened: Callable[[], bool]) -> None:
        """Wait until it happened."""
        deadline = time.monotonic() + BOUND_S
        while not happened():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {BOUND_S:g} s; seen: {self.driver.observe()}")
            time.sleep(0.02)

    def until_phase(self, replica_id: str, phase: ReplicaPhase) -> Observed:
        """Wait until a replica is in a phase, and return it."""
        self.until(lambda: self.see(replica_id).phase is phase)
        return self.see(replica_id)

    def see(self, replica_id: str) -> Observed:
        """Return what the newest driver sees of a replica."""
        return next(seen for seen in self.drivers[-1].observe() if seen.id == replica_id)

    def container_of(self, replica_id: str) -> str:
        """Return the id of a replica's container, whole; empty when there is none."""
        mine, one = f"label={LABEL_HOME}={self.home}", f"label={LABEL_REPLICA}={replica_id}"
        return docker("ps", "--all", "--quiet", "--no-trunc", "--filter", mine, "--filter", one)

    def close(self) -> None:
        """Remove everything that carries this home's label."""
        for opened in self.drivers:
            opened.close()
        remove_everything(self.home)


def remove_everything(home: str) -> None:
    """Remove what an installation has on the engine."""
    mine = f"label={LABEL_HOME}={home}"
    for listing, removing in (
        (("ps", "--all"), ("rm", "--force", "--volumes")),
        (("volume", "ls"), ("volume", "rm", "--force")),
        (("network", "ls"), ("network", "rm")),
        (("images",), ("rmi", "--force")),
    ):
        found = docker(*listing, "--quiet", "--filter", mine).split()
        if found:
            docker(*removing, *dict.fromkeys(found))
