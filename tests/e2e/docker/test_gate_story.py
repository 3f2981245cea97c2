"""Digits on Docker with the gate on: what is refused, why, and what lets it pass."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.control.containers.images import installation_id
from tests.contract.docker_target import remove_everything
from tests.e2e.installation import Installation, wait_for

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.requires("envoy", "docker", "sklearn", "index"),
]
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "03-docker-gate"
POISONED = Path("/tmp/pai-example-poisoned")
BUILDS_S = 300
BASE = "python:3.11-slim"
WEAKNESS = "CVE-2022-21797"
RISK = "accepted_risks: [{{id: {id}, owner: ops@example.org, reason: pre_dispatch is not used, expires: {at}}}]\n"


class Story:
    """A desk with the example's files, and the command ``pai``."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation = installation
        self.folder = folder
        subprocess.run(
            [sys.executable, EXAMPLE / "make.py", folder], check=True, capture_output=True
        )
        self.policy(signed=False)

    def policy(self, *, signed: bool, risk_until: datetime | None = None) -> None:
        """Put a policy in force."""
        text = (EXAMPLE / "policy.yaml").read_text()
        if signed:
            key = "".join(f"    {line}\n" for line in self.public_key().splitlines())
            text = text.replace("sections:", f"keys:\n  release: |\n{key}sections:")
            text += "    image_signature: {mode: enforce}\n"
        if risk_until is not None:
            text += RISK.format(id=WEAKNESS, at=risk_until.isoformat())
        aside = self.installation.home / "policy.new"
        aside.write_text(text)
        aside.rename(self.installation.home / "policy.yaml")

    def public_key(self) -> str:
        """Make the key that signs, on first use."""
        public = self.folder / "release.pub"
        if not public.exists():
            public.write_text(self.pai("key", "create", str(self.folder / "release.pem")))
        return public.read_text()

    def pai(self, *words: str) -> str:
        """Run a command that works."""
        done = self.installation.pai(*words, timeout_s=BUILDS_S)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, *words: str) -> str:
        """Run a command that does not, and return what it says."""
        done = self.installation.pai(*words, timeout_s=BUILDS_S)
        assert done.returncode != 0, f"{words}: {done.stdout}"
        return done.stdout + done.stderr

    def spec(self, name: str) -> str:
        """Return the path of one of the example's specs."""
        return str(self.folder / name)

    def changed(self, name: str, old: str, new: str) -> str:
        """Write another version of a spec, and return its path."""
        path = self.folder / f"changed-{name}"
        path.write_text((self.folder / name).read_text().replace(old, new))
        return str(path)

    @contextlib.contextmanager
    def another_image_under_the_tag(self, name: str) -> Iterator[None]:
        """Let the base image lie under the tag of a backend's newest image."""
        found = json.loads(self.pai("image", "verify", name, "--json"))
        _docker("tag", BASE, found["tag"])
        try:
            yield
        finally:
            _docker("tag", found["image"], found["tag"])

    def serving(self) -> str:
        """Return the version that answers."""
        weights = self.installation.client().backend("digits")["summary"]["weights"]
        return ",".join(version for version, share in weights.items() if share)

    def events(self) -> list[str]:
        """Return the kinds of the backend's events."""
        return [event["kind"] for event in self.installation.client().events("digits")]


def _docker(*words: str) -> None:
    subprocess.run(["docker", *words], check=True, capture_output=True, timeout=60)


@pytest.fixture
def story(tmp_path: Path, environments: Path) -> Iterator[Story]:
    installation = Installation(tmp_path)
    (installation.home / "environments").symlink_to(environments)
    try:
        installation.start("gateway")
        installation.start("server")
        installation.client().add_target("docker")
        yield Story(installation, tmp_path / "digits")
    finally:
        print(installation.said())
        installation.close()
        remove_everything(installation_id(SqlStore.open(installation.home / "state" / "pai.db")))


def test_the_gate_on_docker_refuses_for_readable_reasons_and_lets_the_mended_pass(
    story: Story,
) -> None:
    story.pai("advisories", "import", story.spec("PyPI.zip"))
    said = story.refused("deploy", story.spec("old.yaml"), "--wait")
    assert WEAKNESS in said
    assert "joblib 1.1.0" in said

    story.pai("deploy", story.spec("pai.yaml"), "--wait")
    assert story.serving() == "v2"
    assert story.pai("predict", "digits", "--file", str(story.folder / "images.npy")).strip()

    said = story.refused("deploy", story.spec("poisoned.yaml"), "--wait")
    assert "poisoned.joblib" in said
    assert "system" in said
    assert not POISONED.exists()
    assert story.serving() == "v2"

    story.policy(signed=True)
    signed = story.changed("pai.yaml", "cpu: 0.5", "cpu: 0.4")
    said = story.refused("deploy", signed, "--wait")
    assert "sign" in said
    assert story.serving() == "v2"
    story.pai("model", "sign", "digits", "--image", "--key", str(story.folder / "release.pem"))
    story.pai("deploy", signed, "--wait")
    assert story.serving() == "v3"
    assert "signed by release" in story.pai("image", "verify", "digits")
    with story.another_image_under_the_tag("digits"):
        said = story.refused("image", "verify", "digits")
        assert "digest: differs" in said
        assert "do not sign it" in said

    now = datetime.now(UTC)
    story.policy(signed=False, risk_until=now + timedelta(days=30))
    story.pai("deploy", story.spec("old.yaml"), "--wait")
    assert story.serving() == "v1"
    assert "gate:flagged" not in story.events()
    story.policy(signed=False, risk_until=now)
    wait_for("a flag", lambda: "gate:flagged" in story.events())
    assert story.serving() == "v1"
    assert WEAKNESS in story.pai("gate", "explain", "digits", "--version", "v1")
