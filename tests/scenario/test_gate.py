"""The gate on the line: nothing starts that the policy does not let start."""

import json
import pickle
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from prometheus_ai.adapters.scanners.advisories import SqliteAdvisories
from prometheus_ai.adapters.scanners.images import LayeredImageScanner
from prometheus_ai.adapters.scanners.model_files import ModelFileScanner
from prometheus_ai.adapters.signers.ecdsa import BundleVerifier, EcdsaSigner, PemKey, create_key
from prometheus_ai.control.gates.signatures import add
from prometheus_ai.control.plane import Gate
from prometheus_ai.control.requests import Asker, DeployRequest
from prometheus_ai.domain.errors import InvalidInput, Refused
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.spec import ModelSpec, Spec
from prometheus_ai.gates import DEFAULT_POLICY
from prometheus_ai.testing.fake_artefact_store import FakeArtefactStore
from tests.scenario.conftest import ASKER, Line
from tests.unit.scanners.poison import call

MODEL_PREDICATE = "https://model_signing/signature/v1.0"
RECORDS = Path(__file__).resolve().parents[1] / "data" / "advisories" / "pypi.json"


class Gated:
    """The line with a gate, whose policy a test writes."""

    def __init__(self, line: Line, folder: Path) -> None:
        self.line = line
        self.text = DEFAULT_POLICY
        self.advisories = SqliteAdvisories(folder / "advisories.db", now=line.clock.now)
        line.plane.gate = Gate(
            policy=lambda: self.text, models=ModelFileScanner(), images=LayeredImageScanner(ModelFileScanner().scan),
            advisories=self.advisories,
            signatures=BundleVerifier(), evidence=FakeArtefactStore(folder / "evidence"),
        )  # fmt: skip

    def deploy(self, data: bytes, *, name: str = "model.pkl", allow_pickle: bool = True) -> str:
        digest = self.line.artefacts.put_stream([data], expected=None)
        model = ModelSpec(path=name, engine="sklearn", allow_pickle=allow_pickle)
        spec = Spec(name="digits", model=model)
        request = DeployRequest(spec=spec, model_digest=digest, model_name=name)
        self.line.control.deploy(request, ASKER)
        return digest

    def kinds(self) -> list[str]:
        return [event.kind for event in self.line.control.recent_events("digits", 100)]


@pytest.fixture
def gated(line: Line, tmp_path: Path) -> Gated:
    return Gated(line, tmp_path / "gate")


def test_a_clean_pickle_runs_and_its_decision_is_explained_and_replays(gated: Gated) -> None:
    gated.deploy(pickle.dumps({"weights": [1.0]}))
    gated.line.run()
    assert gated.line.phases() == {"v1": "ready"}
    found = gated.line.control.explain_gate("digits", None)
    assert found.allowed
    assert found.replays
    assert found.section == "this machine"
    assert {rule.rule for rule in found.rules} >= {
        "model-files",
        "model-signature",
        "vulnerabilities",
    }
    assert Kind.GATE_PASSED in gated.kinds()


def test_a_poisoned_model_is_refused_before_anything_loads_it(gated: Gated) -> None:
    with pytest.raises(Refused, match=r"mailcap\.findmatch"):
        gated.deploy(call("mailcap.findmatch", "x"))
    assert gated.kinds() == [Kind.GATE_REFUSED]
    found = gated.line.control.explain_gate("digits", None)
    assert not found.allowed
    assert found.replays


def test_a_pickle_that_the_spec_does_not_admit_is_refused(gated: Gated) -> None:
    with pytest.raises(Refused, match="does not say so"):
        gated.deploy(pickle.dumps([1]), allow_pickle=False)


def test_an_unsigned_model_waits_for_a_signature_where_the_policy_asks(gated: Gated) -> None:
    private, public = create_key(None)
    gated.text = _policy(public)
    digest = gated.deploy(pickle.dumps([1]))
    gated.line.run()
    assert gated.line.phases() == {"v1": "failed"}
    assert not gated.line.control.explain_gate("digits", None).allowed

    bundle = EcdsaSigner(PemKey(private)).sign(digest, "model.pkl", MODEL_PREDICATE, b"{}")
    assert add(gated.line.plane, digest, bundle, ASKER).key == "release"
    gated.deploy(pickle.dumps([1]))
    gated.line.run()
    assert gated.line.phases() == {"v1": "ready"}


def test_signatures_of_other_keys_and_for_other_bytes_do_not_count(gated: Gated) -> None:
    private, public = create_key(None)
    stranger, _ = create_key(None)
    gated.text = _policy(public)
    digest = gated.deploy(pickle.dumps([1]))
    other = EcdsaSigner(PemKey(private)).sign("sha256:" + "0" * 64, "x", MODEL_PREDICATE, b"{}")
    with pytest.raises(InvalidInput):
        add(gated.line.plane, digest, other, ASKER)
    for bundle in (
        EcdsaSigner(PemKey(stranger)).sign(digest, "x", MODEL_PREDICATE, b"{}"),
        EcdsaSigner(PemKey(private)).sign(digest, "x", "https://cyclonedx.org/bom", b"{}"),
    ):
        add(gated.line.plane, digest, bundle, ASKER)
    gated.line.run()
    assert gated.line.phases() == {"v1": "failed"}


def test_every_start_is_decided_anew(gated: Gated) -> None:
    """A policy that tightens keeps new replicas from starting; those that run go on."""
    gated.deploy(pickle.dumps([1]))
    gated.line.run()
    gated.text = DEFAULT_POLICY.replace("pickle: clean", "pickle: never")
    gated.line.control.scale("digits", 2, None, Asker(actor="tester"))
    gated.line.run()
    assert gated.line.served() == {"v1": 1}
    assert not gated.line.control.explain_gate("digits", None).allowed


def test_a_policy_that_cannot_be_read_starts_nothing(gated: Gated) -> None:
    gated.text = "sections: ["
    with pytest.raises(InvalidInput):
        gated.deploy(pickle.dumps([1]))


def test_a_weakness_blocks_until_accepted_and_again_when_that_expires(
    gated: Gated, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "PyPI.zip", "w") as archive:
        for record in json.loads(RECORDS.read_text()):
            archive.writestr(f"{record['id']}.json", json.dumps(record))
    gated.advisories.import_archive(tmp_path / "PyPI.zip")
    blocking = "version: 1\nsections: [{name: all, vulnerabilities: {data_age_days_max: 100000}}]\n"
    gated.text = blocking
    lock = b"joblib==1.1.0 --hash=sha256:00\n"
    gated.line.plane.resolver = _Lock(lock)
    gated.deploy(pickle.dumps([1]))
    gated.line.run()
    refused = gated.line.control.explain_gate("digits", None)
    assert not refused.allowed
    assert any("CVE-2022-21797" in rule.message for rule in refused.rules)

    now = gated.line.clock.now()
    gated.text = blocking + (
        "accepted_risks: [{id: GHSA-6hrg-qmvc-2xh8, owner: ops@example.org, reason: no pre_dispatch,"
        f" expires: {(now + timedelta(hours=1)).isoformat()}}}]\n"
    )
    gated.deploy(pickle.dumps([1]))
    gated.line.run()
    assert gated.line.phases() == {"v1": "ready"}
    assert gated.line.control.explain_gate("digits", None).look_again_at == now + timedelta(hours=1)

    gated.line.clock.advance(7200)
    gated.line.control.scale("digits", 2, None, Asker(actor="tester"))
    gated.line.run()
    assert not gated.line.control.explain_gate("digits", None).allowed


class _Lock:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def lock(self, *_words: object, **_more: object) -> bytes:
        return self._content

    def check_lock(self, *_words: object, **_more: object) -> bytes:
        return self._content

    def runtime_id(self) -> str:
        return "0.1.0+sha256:00"


def _policy(public: str) -> str:
    indented = "".join(f"    {line}\n" for line in public.splitlines())
    return (
        f"version: 1\nkeys:\n  release: |\n{indented}"
        "sections:\n  - name: signed\n    model_signature: {mode: enforce, keys: [release]}\n"
        "    vulnerabilities: {mode: 'off'}\n"
    )
