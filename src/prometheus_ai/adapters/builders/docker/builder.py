"""The builder."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from prometheus_ai.adapters.builders.docker.command import DockerCommand
from prometheus_ai.adapters.builders.docker.contents import layer_files
from prometheus_ai.adapters.builders.docker.index import offered
from prometheus_ai.adapters.builders.docker.network import BuildNetwork
from prometheus_ai.adapters.builders.docker.progress import Progress
from prometheus_ai.adapters.docker_engine import DockerEngine
from prometheus_ai.domain.errors import Corrupted, InvalidInput, NotFound, Unavailable
from prometheus_ai.domain.image import (
    IMAGE_CONTENT_SECONDS,
    IMAGE_EPOCH,
    LABEL_HOME,
    LABEL_PLAN,
    LABEL_RELEASE,
    MODEL_FOLDER,
    BaseImage,
    BuildEvent,
    BuildPlan,
    BuildRecord,
    ImageFacts,
    ImageLayer,
    IndexFile,
    LayerFacts,
    Libc,
)
from prometheus_ai.ports.image_builder import BuildFiles

PULL_TIMEOUT_S = 1800.0
WHEEL_CHECK_TIMEOUT_S = 300.0
SDISTS_MAX = 20
_NO_WHEEL = re.compile(
    r"(?:Because |package )?`?([A-Za-z0-9][A-Za-z0-9._-]*)(?:==[^\s`]+)?`? has no (?:usable )?wheels?"
)
_UNREACHABLE = ("error sending request", "dns error", "Connection refused", "timed out")


class DockerBuilder:
    """Implements the ImageBuilder port on one Docker Engine."""

    def __init__(
        self,
        engine: DockerEngine,
        network: BuildNetwork,
        *,
        command: DockerCommand | None = None,
    ) -> None:
        self._engine = engine
        self._network = network
        self._command = command or DockerCommand(engine.url)
        self._sdists: dict[tuple[str, str, str], tuple[str, ...]] = {}

    def check(self) -> None:
        """Ask the engine for its version, and try a build of two lines."""
        self._engine.get("/version")
        self._command.program()

    def base(self, reference: str) -> BaseImage:
        """Find the base on the engine, or have the engine pull it."""
        facts = self._engine.find(f"/images/{reference}/json")
        if facts is None:
            self._pull(reference)
            facts = self._engine.get(f"/images/{reference}/json")
        pinned = facts.get("RepoDigests") or []
        if pinned:
            digest = pinned[0].rpartition("@")[2]
            name = reference.partition("@")[0]
            reference = f"{name}@{digest}"
        else:
            digest = facts["Id"]
        return BaseImage(
            reference=reference, digest=digest, size_bytes=facts["Size"],
            made_at=str(facts.get("Created") or ""),
        )  # fmt: skip

    def sdists(self, lock_path: Path, python: str, libc: Libc = "glibc") -> tuple[str, ...]:
        """Ask uv which packages it would have to compile; a lock's answer is kept."""
        key = (hashlib.sha256(lock_path.read_bytes()).hexdigest(), python, libc)
        if key not in self._sdists:
            wanted = ["--python-version", python, *_platform(libc)]
            self._sdists[key] = self._without_wheels(lock_path, wanted)
        return self._sdists[key]

    def _without_wheels(self, lock_path: Path, wanted: list[str]) -> tuple[str, ...]:
        missing: list[str] = []
        for _ in range(SDISTS_MAX):
            said = self._try_wheels(lock_path, wanted, missing)
            if not said:
                return tuple(missing)
            found = [name.lower() for name in _NO_WHEEL.findall(said)]
            new = [re.sub(r"[-_.]+", "-", name) for name in found]
            new = [name for name in new if name not in missing]
            if not new:
                if any(mark in said for mark in _UNREACHABLE):
                    raise Unavailable(f"the package index cannot be reached: {said[:300]}")
                # uv failed for another reason, which the build itself will state at its own place.
                return tuple(missing)
            missing.extend(new[:1])
        return tuple(missing)

    def offered(self, names: Sequence[str]) -> Mapping[str, Sequence[IndexFile]]:
        """Ask the index that builds use."""
        return offered(self._network, names)

    def sizes(self, references: Sequence[str]) -> Mapping[str, int]:
        """Ask the engine, which pulls nothing for it."""
        found = {name: self._engine.find(f"/images/{name}/json") for name in references}
        return {name: int(facts["Size"]) for name, facts in found.items() if facts is not None}

    def find(self, plan: BuildPlan) -> str | None:
        """Look for the plan's label."""
        labels = [f"{LABEL_PLAN}={plan.digest}", f"{LABEL_HOME}={plan.labels[LABEL_HOME]}"]
        labels.append(f"{LABEL_RELEASE}={plan.labels[LABEL_RELEASE]}")
        found = self._engine.get("/images/json", filters={"label": labels})
        newest = max(found, key=lambda image: int(image["Created"]), default=None)
        return str(newest["Id"]) if newest else None

    def build(
        self, plan: BuildPlan, inputs: BuildFiles, on_event: Callable[[BuildEvent], None]
    ) -> BuildRecord:
        """Build in a folder of its own, with secrets beside it."""
        started = time.monotonic()
        heard = Progress(on_event)
        with tempfile.TemporaryDirectory(prefix="pai-build-") as name:
            folder = Path(name)
            _write_context(folder / "context", plan, inputs)
            arguments = self._arguments(folder, plan)
            code = self._command.build(arguments, heard.feed)
            if code:
                raise _failure(plan, heard)
            image = (folder / "image-id").read_text().strip()
        self._check_base(plan)
        facts = self._engine.get(f"/images/{image}/json")
        layers = self._layers(image, facts)
        return BuildRecord(
            image=image,
            tag=plan.tag,
            plan=plan.digest,
            took_s=round(time.monotonic() - started, 2),
            steps=tuple(heard.steps.values()),
            layers=layers,
            size_bytes=int(facts["Size"]),
            at=datetime.now(UTC),
        )

    def save(self, reference: str, path: Path) -> str:
        """Write an image's archive to a file; return its id."""
        image = str(self._engine.get(f"/images/{reference}/json")["Id"])
        try:
            with path.open("wb") as file:
                for chunk in self._engine.stream(f"/images/{image}/get"):
                    file.write(chunk)
        except OSError as error:
            raise Unavailable(f"the image cannot be written to {path}: {error}") from error
        return image

    def load(self, path: Path, image: str) -> None:
        """Load an image, and make sure that it is the one that was promised."""
        if self.has(image):
            return
        self._engine.load(path)
        if not self.has(image):
            raise Corrupted(f"the engine made another image of {path.name} than {image}")

    def has(self, image: str) -> bool:
        """Ask the engine for the image."""
        return self._engine.find(f"/images/{image}/json") is not None

    def facts(self, reference: str, *, with_files: bool) -> ImageFacts:
        """Read an image's configuration, and its files when asked."""
        facts = self._engine.get(f"/images/{reference}/json")
        config = facts.get("Config") or {}
        layers = self._layers(facts["Id"], facts)
        files = layer_files(self._engine, facts["Id"]) if with_files else [()] * len(layers)
        history = self._engine.get(f"/images/{facts['Id']}/history")
        return ImageFacts(
            image=facts["Id"],
            tags=tuple(facts.get("RepoTags") or ()),
            size_bytes=int(facts["Size"]),
            user=str(config.get("User", "")),
            entrypoint=tuple(config.get("Entrypoint") or ()),
            environment=tuple(config.get("Env") or ()),
            labels=config.get("Labels") or {},
            layers=tuple(
                LayerFacts(layer=layer, files=tuple(held))
                for layer, held in zip(layers, files, strict=True)
            ),
            history=tuple(str(step.get("CreatedBy", "")) for step in reversed(history)),
        )

    def _arguments(self, folder: Path, plan: BuildPlan) -> list[str]:
        secrets = folder / "secrets"
        secrets.mkdir(mode=0o700)
        (secrets / "network").write_text(self._network.shell())
        ca = secrets / "ca"
        if self._network.ca_file is not None:
            shutil.copyfile(self._network.ca_file, ca)
        else:
            ca.write_text("")
        return [
            "--secret", f"id=pai_network,src={secrets / 'network'}",
            "--secret", f"id=pai_ca,src={ca}",
            "--iidfile", str(folder / "image-id"),
            "--tag", plan.tag,
            str(folder / "context"),
        ]  # fmt: skip

    def _layers(self, image: str, facts: Mapping[str, Any]) -> tuple[ImageLayer, ...]:
        history = self._engine.get(f"/images/{image}/history")
        # A step of the history made a layer when it has a size, or when it copied or ran something.
        made = [
            step
            for step in reversed(history)
            if step["Size"] > 0 or _makes_layer(step["CreatedBy"])
        ]
        digests = facts["RootFS"]["Layers"]
        made = made[-len(digests) :]
        padded = [{"Size": 0, "CreatedBy": ""}] * (len(digests) - len(made)) + made
        return tuple(
            ImageLayer(digest=digest, size_bytes=int(step["Size"]), made_by=str(step["CreatedBy"]))
            for digest, step in zip(digests, padded, strict=True)
        )

    def _check_base(self, plan: BuildPlan) -> None:
        """Make sure that a base known by its name alone was still the same one after the build."""
        after = self.base(plan.base.reference)
        if after.digest != plan.base.digest:
            raise InvalidInput(
                f"base {plan.base.reference} changed while {plan.tag} was built: "
                f"{plan.base.digest} became {after.digest}",
                hint="build again",
            )

    def _pull(self, reference: str) -> None:
        name, _, tag = reference.partition("@") if "@" in reference else reference.rpartition(":")
        try:
            self._engine.post(
                "/images/create", timeout_s=PULL_TIMEOUT_S, fromImage=name or tag, tag=tag
            )
        except NotFound as error:
            raise InvalidInput(
                f"image.base: there is no image {reference}: {error.message}",
                hint="name one that the engine can pull, or load it into the engine",
            ) from error

    def _try_wheels(self, lock_path: Path, wanted: list[str], missing: list[str]) -> str:
        """Return uv's words when some package has no wheel, or nothing."""
        with tempfile.TemporaryDirectory(prefix="pai-wheels-") as folder:
            command = [
                find_uv_bin(), "pip", "install", "--dry-run", "--quiet", "--no-deps",
                "--target", folder, *wanted, "--only-binary", ":all:",
                "-r", str(lock_path),
            ]  # fmt: skip
            for name in missing:
                command += ["--no-binary", name]
            environ = {**os.environ}
            if self._network.index_url:
                environ["UV_DEFAULT_INDEX"] = self._network.index_url
            try:
                done = subprocess.run(
                    command, env=environ, cwd=folder, capture_output=True, text=True,
                    timeout=WHEEL_CHECK_TIMEOUT_S, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired as error:
                raise Unavailable("uv did not say in time which packages have wheels") from error
        return done.stderr if done.returncode else ""


def _platform(libc: Libc) -> list[str]:
    """Return what uv is told of the platform: this machine's kind is the engine's, its C library need not be."""
    if libc == "glibc":
        return []
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    return ["--python-platform", f"{machine}-unknown-linux-musl"]


def _makes_layer(step: str) -> bool:
    return step.startswith(("COPY", "ADD", "RUN", "WORKDIR"))


def _write_context(folder: Path, plan: BuildPlan, inputs: BuildFiles) -> None:
    """Lay out the context; times follow from content alone, so that equal content makes equal layers."""
    folder.mkdir()
    (folder / "Dockerfile").write_text(plan.dockerfile)
    for name, text in plan.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "server").mkdir()
    shutil.copyfile(inputs.wheel, folder / "server" / inputs.wheel.name)
    if inputs.model is not None:
        target = folder / f"model{MODEL_FOLDER}" / inputs.model_name
        target.parent.mkdir(parents=True)
        if inputs.model.is_dir():
            shutil.copytree(inputs.model, target, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(inputs.model, target)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        time_s = IMAGE_EPOCH if path.is_dir() else IMAGE_EPOCH + _time_of_content(path)
        os.utime(path, (time_s, time_s))


def _time_of_content(path: Path) -> int:
    """Return seconds that differ when content does: BuildKit takes a file of equal size and time for unchanged."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return int.from_bytes(digest[:4], "big") % IMAGE_CONTENT_SECONDS


def _failure(plan: BuildPlan, heard: Progress) -> Exception:
    reason = heard.reason()
    if "no space left on device" in reason.lower():
        return Unavailable(
            f"building {plan.tag}: the engine's disk is full", hint="docker builder prune; pai gc"
        )
    if any(mark in reason for mark in (*_UNREACHABLE, "Temporary failure in name resolution")):
        return Unavailable(
            f"building {plan.tag}: {reason}",
            hint="builds use the index, proxy and certificates of the control plane's environment",
        )
    return InvalidInput(
        f"building {plan.tag}: {reason}", hint="`pai image plan` shows what is built"
    )
