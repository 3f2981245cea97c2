"""Images that the real engine builds from plans."""

import base64
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prometheus_ai.adapters.builders.docker.builder import DockerBuilder
from prometheus_ai.adapters.builders.docker.command import DockerCommand
from prometheus_ai.adapters.builders.docker.network import network_of
from prometheus_ai.adapters.docker_engine import DEFAULT_URL, DockerEngine
from prometheus_ai.adapters.environments.uv.environments import UvEnvironments
from prometheus_ai.build import MODEL_IN_CONTEXT, PlanInputs, plan_image
from prometheus_ai.build.ejected import ejected_files
from prometheus_ai.compose.images import Wish, analyze_image
from prometheus_ai.domain.errors import InvalidInput, Unavailable
from prometheus_ai.domain.image import EJECTED_BINARY, BuildPlan, BuildRecord
from prometheus_ai.domain.release import Artefact, Inputs, Release
from prometheus_ai.domain.spec import ModelSpec, Spec
from prometheus_ai.ports.image_builder import BuildFiles
from tests.contract.docker_target import docker, remove_everything

pytestmark = [
    pytest.mark.e2e, pytest.mark.requires("docker", "index", "uv"), pytest.mark.timeout(900)
]  # fmt: skip
BASE = "python:3.11-slim"
MODEL = """from typing import Annotated

import numpy as np
from numpy.typing import NDArray

Rows = Annotated[NDArray[np.float64], -1, 2]


class Model:
    def predict(self, x: Rows) -> Rows:
        return x
"""


class Workshop:
    """A release without heavy packages, and the builder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        environments = UvEnvironments(folder / "environments")
        self.runtime = environments.runtime_id()
        self.wheel = environments.runtime_wheel(self.runtime)
        self.lock = folder / "requirements.lock"
        self.lock.write_bytes(environments.lock([], python="3.11", engine="python"))
        self.model = folder / "model.py"
        self.model.write_text(MODEL)
        network = replace(network_of(os.environ, None), proxies={"NO_PROXY": "s3cret.example"})
        self.home = secrets.token_hex(4)
        self.engine = DockerEngine()
        self.builder = DockerBuilder(self.engine, network)

    def plan(self) -> BuildPlan:
        """Plan the release's image."""
        inputs = PlanInputs(
            home=self.home, lock=self.lock.read_text(), base=self.builder.base(BASE),
            wheel=self.wheel.name, sdists=self.builder.sdists(self.lock, "3.11"),
        )  # fmt: skip
        return plan_image(self._release(), inputs)

    def build(self, plan: BuildPlan) -> BuildRecord:
        """Build it."""
        files = BuildFiles(wheel=self.wheel, model=self.model, model_name="model.py")
        return self.builder.build(plan, files, lambda _: None)

    def _release(self) -> Release:
        return Release(
            backend="small", version="v1", number=1, digest=f"sha256:{'1' * 64}",
            spec=Spec(name="small", model=ModelSpec(path="model.py")),
            inputs=Inputs(
                model=_artefact(self.model), lock=_artefact(self.lock), python="3.11",
                runtime=self.runtime, engine="python",
            ),
            created_at=datetime.now(UTC), created_by="test",
        )  # fmt: skip


def _artefact(path: Path) -> Artefact:
    content = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Artefact(digest=digest, name=path.name, size_bytes=len(content))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    made = Workshop(tmp_path_factory.mktemp("workshop"))
    yield made
    made.engine.close()
    remove_everything(made.home)


@pytest.fixture(scope="module")
def built(workshop: Workshop) -> BuildRecord:
    made = workshop.build(workshop.plan())
    # Later builds take its tag away; without one of its own, removing an equal one would remove it.
    docker("tag", made.image, f"pai-{workshop.home}/kept:1")
    return made


def test_nothing_is_built_again_when_nothing_changed(
    workshop: Workshop, built: BuildRecord
) -> None:
    plan = workshop.plan()
    assert plan.digest == built.plan
    assert workshop.builder.find(plan) == built.image
    again = workshop.build(plan)
    assert all(step.is_cached for step in again.steps if "RUN" in step.name)


def test_the_same_inputs_make_the_same_layers_without_any_cache(
    workshop: Workshop, built: BuildRecord
) -> None:
    plan = workshop.plan()
    salt = f"ENV ANEW={secrets.token_hex(8)}\n"
    stages = re.compile(r"^(FROM \w+ AS (?:tools|interpreter|heavy|light|server)\n)", re.MULTILINE)
    # Another setting in every stage that runs something: all is made anew, and no layer differs.
    anew = replace(plan, dockerfile=stages.sub(rf"\1{salt}", plan.dockerfile))
    again = workshop.build(anew)
    assert not any(step.is_cached for step in again.steps if "RUN" in step.name)
    assert [layer.digest for layer in again.layers] == [layer.digest for layer in built.layers]


def test_no_tool_and_no_setting_of_the_build_is_in_the_result(
    workshop: Workshop, built: BuildRecord
) -> None:
    facts = workshop.builder.facts(built.image, with_files=True)
    paths = {entry.path for layer in facts.layers[1:] for entry in layer.files}
    assert any(path.endswith("/bin/pai-runtime") for path in paths)
    assert "/opt/model/model.py" in paths
    assert not [path for path in paths if "/uv/" in path or path.endswith(("/gcc", "/pip"))]
    history = docker("history", "--no-trunc", built.image) + docker("inspect", built.image)
    assert "s3cret.example" not in history
    assert "s3cret" not in "".join(paths)


def test_nothing_is_compiled_when_a_server_starts(workshop: Workshop, built: BuildRecord) -> None:
    said = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", "--entrypoint", "/opt/pai/venv/bin/python",
         built.image, "-I", "-B", "-v", "-m", "prometheus_ai_runtime", "--help"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stderr  # fmt: skip
    assert "prometheus_ai_runtime" in said
    assert [line for line in said.splitlines() if line.startswith("# code object from /")] == []


def test_the_image_is_hardened_and_describes_itself(workshop: Workshop, built: BuildRecord) -> None:
    facts = workshop.builder.facts(built.image, with_files=False)
    assert facts.user == "10001:10001"
    assert facts.labels["ai.prometheus.release"].startswith("small/v1@sha256:")
    ran = docker(
        "run", "--rm", "--read-only", "--tmpfs", "/tmp:noexec", "--cap-drop", "all",
        "--network", "none", built.image, "--help",
    )  # fmt: skip
    assert "serve" in ran


def test_what_is_ejected_builds_the_same_layers_without_us(
    workshop: Workshop, built: BuildRecord, tmp_path: Path
) -> None:
    wheel = workshop.wheel
    for name, text in ejected_files(workshop.plan(), wheel.name, wheel.read_bytes()).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded = text.removeprefix(EJECTED_BINARY)
        path.write_bytes(base64.b64decode(encoded) if encoded != text else text.encode())
    model = tmp_path / MODEL_IN_CONTEXT / "model.py"
    model.parent.mkdir(parents=True)
    model.write_text(MODEL)
    subprocess.run([sys.executable, tmp_path / "stamp.py"], check=True, timeout=60)
    program = DockerCommand(DEFAULT_URL).program()
    subprocess.run(
        [program, "build", "--quiet", "--tag", "pai-test/ejected:1", str(tmp_path)],
        env={**os.environ, "DOCKER_BUILDKIT": "1"}, check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    mine = docker("inspect", "--format", "{{json .RootFS.Layers}}", "pai-test/ejected:1")
    docker("rmi", "--force", "pai-test/ejected:1")
    assert [layer.digest for layer in built.layers] == json.loads(mine)


def test_an_edit_of_equal_length_is_noticed(workshop: Workshop, built: BuildRecord) -> None:
    workshop.model.write_text(MODEL.replace("return x", "return 7"))
    try:
        edited = workshop.build(workshop.plan())
    finally:
        workshop.model.write_text(MODEL)
    said = docker("run", "--rm", "--entrypoint", "cat", edited.image, "/opt/model/model.py")
    assert "return 7" in said
    assert [layer.digest for layer in edited.layers][:4] == [
        layer.digest for layer in built.layers
    ][:4]


def test_a_failed_step_says_why(workshop: Workshop) -> None:
    plan = workshop.plan()
    wrong = re.sub(r"sha256:[0-9a-f]{4}", "sha256:0000", plan.files["locks/light.txt"])
    spoiled = replace(plan, files={**plan.files, "locks/light.txt": wrong})
    with pytest.raises(InvalidInput, match=r"(?i)hash|digest"):
        workshop.build(spoiled)


def test_a_base_that_does_not_exist_is_told(workshop: Workshop) -> None:
    with pytest.raises((InvalidInput, Unavailable)):
        workshop.builder.base("no-such-image-anywhere:1")


def test_a_command_that_cannot_build_is_passed_over(tmp_path: Path) -> None:
    broken = tmp_path / "docker"
    broken.write_text("#!/bin/sh\necho no buildx here >&2\nexit 1\n")
    broken.chmod(0o755)
    works = DockerCommand(DEFAULT_URL).program()
    assert DockerCommand(DEFAULT_URL, programs=(str(broken), works)).program() == works
    with pytest.raises(Unavailable, match="no buildx here"):
        DockerCommand(DEFAULT_URL, programs=(str(broken),)).program()


def test_index_proxy_and_authority_of_a_user_are_in_no_byte_of_the_image(tmp_path: Path) -> None:
    folder = tmp_path / "workshop"
    made = Workshop(folder)
    authority = tmp_path / "authority.pem"
    given = network_of(os.environ, None).ca_file
    authority.write_bytes((given.read_bytes() if given else b"") + b"\n# s3cret authority\n")
    index = network_of(os.environ, None).index_url or "https://pypi.org/simple"
    network = replace(
        network_of(os.environ, None),
        index_url=index.replace("://", "://s3cret-user:s3cret-word@", 1),
        ca_file=authority if given else None,
        proxies={"NO_PROXY": "s3cret.example"},
    )
    made.builder = DockerBuilder(made.engine, network)
    try:
        record = made.build(made.plan())
        archive = tmp_path / "image.tar"
        made.builder.save(record.image, archive)
        with archive.open("rb") as file:
            last = b""
            while chunk := file.read(1 << 22):
                assert b"s3cret" not in last + chunk
                last = chunk[-16:]
        assert "s3cret" not in docker("history", "--no-trunc", record.image)
        assert "s3cret" not in docker("inspect", record.image)
    finally:
        made.engine.close()
        remove_everything(made.home)


def test_a_trimmed_image_is_tried_before_it_is_called_safe(built: BuildRecord) -> None:
    asked = Wish(name="small", reference=built.image, engine=DEFAULT_URL, proves=True)
    found = analyze_image(asked, lambda _: None)
    assert found.proof is not None
    try:
        assert found.proof.verdict == "safe"
        assert {one.name for one in found.proof.checks} >= {"predict"}
        assert found.proof.size_after_bytes <= found.proof.size_before_bytes
        assert "prometheus-ai-runtime" in {one.name for one in found.packages}
        assert not [one for one in found.findings if one.kind in ("root-user", "secret")]
    finally:
        docker("rmi", "--force", found.proof.tag)
