"""Proof from the command line: statements signed, releases compared, reports written, bundles carried."""

import pickle
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import Result

from prometheus_ai.adapters.registries.oci import OciBundles
from prometheus_ai.adapters.scanners.advisories import SqliteAdvisories
from prometheus_ai.adapters.scanners.images import LayeredImageScanner
from prometheus_ai.adapters.scanners.model_files import ModelFileScanner
from prometheus_ai.adapters.signers.ecdsa import BundleVerifier
from prometheus_ai.compose.clock import SystemClock
from prometheus_ai.control.plane import Gate
from prometheus_ai.testing.fake_artefact_store import FakeArtefactStore
from tests.unit.api.world import World, wait_for
from tests.unit.cli.conftest import Pai

Deploy = Callable[[object], Result]


@pytest.fixture
def gate(world: World, pai: Pai, tmp_path: Path) -> Gate:
    """Give the world a gate whose policy knows the key release.pem."""
    made = pai("key", "create", "release.pem")
    assert made.exit_code == 0, made.output
    key = "".join(f"    {line}\n" for line in made.stdout.splitlines())
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        f"version: 1\nkeys:\n  release: |\n{key}sections: [{{name: all, vulnerabilities: {{mode: warn}}}}]\n"
    )
    world.plane.gate = Gate(
        policy=policy.read_text, models=ModelFileScanner(),
        images=LayeredImageScanner(ModelFileScanner().scan),
        advisories=SqliteAdvisories(tmp_path / "advisories.db", now=SystemClock().now),
        signatures=BundleVerifier(), evidence=FakeArtefactStore(tmp_path / "evidence"),
        bundles=OciBundles(),
    )  # fmt: skip
    return world.plane.gate


@pytest.fixture
def deploy(gate: Gate, pai: Pai, tmp_path: Path) -> Deploy:
    def run(content: object) -> Result:
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(content))
        (tmp_path / "pai.yaml").write_text(
            "name: digits\nmodel: {path: model.pkl, engine: sklearn, allow_pickle: true}\n"
        )
        result = pai("deploy", "pai.yaml", "--wait")
        assert result.exit_code == 0, result.output
        return result

    return run


def test_a_release_is_attested_and_the_report_shows_it(
    deploy: Deploy, pai: Pai, tmp_path: Path
) -> None:
    deploy([1])
    said = pai("gate", "attest", "digits", "--key", "release.pem")
    assert said.exit_code == 0, said.output
    assert said.stdout.count("as release") == 4
    # The next decision sees them.
    deploy([2])
    assert (
        pai(
            "gate", "attest", "digits", "--only", "sbom", "--key", "release.pem", "--json"
        ).exit_code
        == 0
    )
    shown = pai("report", "compliance", "digits")
    assert shown.exit_code == 0, shown.output
    assert "NIST SSDF" in shown.stdout
    assert "Build L1" in shown.stdout
    written = pai("report", "compliance", "digits", "--out", "report.html")
    assert written.exit_code == 0, written.output
    page = (tmp_path / "report.html").read_text()
    _Whole().feed(page)
    assert "<script" not in page
    assert "http" not in page.replace("https://model_signing", "").replace(
        "https://sigstore", ""
    ).replace("https://slsa", "").replace("https://cyclonedx", "").replace("https://cosign", "")
    assert pai("report", "compliance", "digits", "--out", "report.html").exit_code == 5
    assert pai.json("report", "compliance", "digits")["backend"] == "digits"


def test_two_releases_are_compared(deploy: Deploy, pai: Pai) -> None:
    deploy([1])
    deploy([2])
    said = pai("gate", "diff", "digits")
    assert said.exit_code == 0, said.output
    assert "v1 → v2" in said.stdout
    assert "unknown, there is no advisory database" in said.stdout
    assert pai.json("gate", "diff", "digits", "--since", "v1")["version"] == "v2"
    assert pai("gate", "diff", "digits", "--version", "v1").exit_code == 4


def test_a_bundle_is_exported_sealed_and_taken_in(
    deploy: Deploy, pai: Pai, world: World, tmp_path: Path
) -> None:
    deploy([1])
    made = pai("bundle", "export", "digits", "--out", "digits.pai.tar", "--key", "release.pem")
    assert made.exit_code == 0, made.output
    assert pai("bundle", "export", "digits", "--out", "digits.pai.tar").exit_code == 5
    assert pai("delete", "digits", "--yes").exit_code == 0
    wait_for(lambda: not pai.json("status")["backends"])
    taken = pai("bundle", "import", "digits.pai.tar")
    assert taken.exit_code == 0, taken.output
    assert "sealed by release" in taken.stdout
    wait_for(lambda: pai.json("status", "digits")["summary"]["state"] == "ready")
    loose = pai("bundle", "export", "digits", "--out", "loose.tar")
    assert "not sealed" in loose.stderr
    refused = pai("bundle", "import", "loose.tar")
    assert refused.exit_code == 6
    assert "--unsealed" in refused.stderr


def test_a_key_that_cannot_be_read_is_said_before_the_long_work(
    deploy: Deploy, pai: Pai, tmp_path: Path
) -> None:
    deploy([1])
    said = pai("bundle", "export", "digits", "--out", "x.tar", "--key", "nowhere.pem")
    assert said.exit_code == 2
    assert not (tmp_path / "x.tar").exists()


def test_a_policy_whose_key_cannot_be_read_is_named_before_nothing_counts(
    pai: Pai, tmp_path: Path
) -> None:
    (tmp_path / "policy.yaml").write_text("keys: {release: no key}\nsections: [{name: all}]\n")
    said = pai("gate", "policy", "--check", "policy.yaml")
    assert said.exit_code == 2
    assert "keys.release" in said.stderr


class _Whole(HTMLParser):
    """Fails where a tag is closed that was not opened."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
