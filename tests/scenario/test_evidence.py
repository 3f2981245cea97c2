"""Proof on the line: attestations that are demanded, releases that are judged again, reports."""

import json
import pickle
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from prometheus_ai.adapters.signers.ecdsa import EcdsaSigner, PemKey, create_key
from prometheus_ai.control.gates.review import Reviewer
from prometheus_ai.control.gates.signatures import add
from prometheus_ai.control.requests import DeployRequest
from prometheus_ai.domain.errors import InvalidInput, NotFound, Refused
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.spec import ModelSpec, Spec
from prometheus_ai.gates import PREDICATES
from tests.scenario.conftest import ASKER, Line
from tests.scenario.test_gate import RECORDS, Gated, _Lock

BLOCKING = "version: 1\nsections: [{name: all, vulnerabilities: {data_age_days_max: 100000}}]\n"


@pytest.fixture
def gated(line: Line, tmp_path: Path) -> Gated:
    return Gated(line, tmp_path / "gate")


def demanding(public: str, demand: str = "provenance, sbom, scan") -> str:
    indented = "".join(f"    {line}\n" for line in public.splitlines())
    return (
        f"version: 1\nkeys:\n  release: |\n{indented}sections:\n  - name: proven\n"
        f"    attestations: {{mode: enforce, demand: [{demand}], keys: [release]}}\n"
        "    vulnerabilities: {mode: 'off'}\n"
    )


def attest(gated: Gated, signer: EcdsaSigner, *kinds: str, about: str = "") -> None:
    for one in gated.line.control.statements("digits", None):
        if not kinds or one.kind in kinds:
            predicate = json.dumps(one.predicate).encode()
            subject = about or one.subject
            bundle = signer.sign(subject, one.name, one.predicate_type, predicate)
            add(gated.line.plane, subject, bundle, ASKER)


def import_advisories(gated: Gated, folder: Path) -> None:
    with zipfile.ZipFile(folder / "PyPI.zip", "w") as archive:
        for record in json.loads(RECORDS.read_text()):
            archive.writestr(f"{record['id']}.json", json.dumps(record))
    gated.advisories.import_archive(folder / "PyPI.zip")


def redeploy(gated: Gated) -> dict[str, str]:
    gated.deploy(pickle.dumps([1]))
    gated.line.run()
    return gated.line.phases()


def test_a_release_waits_for_the_statements_that_the_policy_demands(gated: Gated) -> None:
    private, public = create_key(None)
    gated.text = demanding(public)
    assert redeploy(gated) == {"v1": "failed"}
    signer = EcdsaSigner(PemKey(private))
    attest(gated, signer, "provenance", "sbom")
    assert redeploy(gated) == {"v1": "failed"}
    assert "no signed scan" in _rule(gated, "attestations")
    attest(gated, signer, "scan")
    assert redeploy(gated) == {"v1": "ready"}
    assert gated.line.control.explain_gate("digits", None).replays


def test_statements_by_strangers_about_others_or_of_other_kinds_do_not_count(gated: Gated) -> None:
    private, public = create_key(None)
    stranger, _ = create_key(None)
    gated.text = demanding(public, "provenance")
    redeploy(gated)
    attest(gated, EcdsaSigner(PemKey(stranger)), "provenance")
    attest(gated, EcdsaSigner(PemKey(private)), "sbom")
    # Replayed: a true statement about another release, handed in for this one.
    attest(gated, EcdsaSigner(PemKey(private)), "provenance", about="sha256:" + "0" * 64)
    other = gated.line.control.statements("digits", None)[0]
    bundle = EcdsaSigner(PemKey(private)).sign(
        "sha256:" + "0" * 64, "x", other.predicate_type, b"{}"
    )
    with pytest.raises(InvalidInput):
        add(gated.line.plane, other.subject, bundle, ASKER)
    tampered = json.loads(
        EcdsaSigner(PemKey(private)).sign(other.subject, "x", other.predicate_type, b"{}")
    )
    tampered["dsseEnvelope"]["payload"] = tampered["dsseEnvelope"]["payload"][:-8] + "AAAAAAA="
    add(gated.line.plane, other.subject, json.dumps(tampered).encode(), ASKER)
    assert redeploy(gated) == {"v1": "failed"}


def test_only_a_decision_that_passed_counts_and_only_one_that_passed_is_given(
    gated: Gated,
) -> None:
    private, public = create_key(None)
    signer = EcdsaSigner(PemKey(private))
    gated.text = demanding(public, "decision")
    redeploy(gated)
    said = gated.line.control.statements("digits", None)
    assert [one.kind for one in said] == ["provenance", "sbom", "scan"]
    failed = b'{"verificationResult": "FAILED"}'
    add(
        gated.line.plane, said[0].subject,
        signer.sign(said[0].subject, "x", PREDICATES["decision"], failed), ASKER,
    )  # fmt: skip
    assert redeploy(gated) == {"v1": "failed"}
    passed = failed.replace(b"FAILED", b"PASSED")
    add(
        gated.line.plane, said[0].subject,
        signer.sign(said[0].subject, "x", PREDICATES["decision"], passed), ASKER,
    )  # fmt: skip
    assert redeploy(gated) == {"v1": "ready"}
    assert gated.line.control.statements("digits", None)[-1].kind == "decision"


def test_an_accepted_risk_expires_and_the_running_release_is_flagged(
    gated: Gated, tmp_path: Path
) -> None:
    import_advisories(gated, tmp_path)
    reviewer = Reviewer(plane=gated.line.plane)
    expires = gated.line.clock.now() + timedelta(hours=1)
    gated.text = BLOCKING + (
        "accepted_risks: [{id: CVE-2022-21797, owner: ops@example.org, reason: no pre_dispatch,"
        f" expires: {expires.isoformat()}}}]\n"
    )
    gated.line.plane.resolver = _Lock(b"joblib==1.1.0 --hash=sha256:00\n")  # type: ignore[assignment]
    assert redeploy(gated) == {"v1": "ready"}
    reviewer.tick()
    assert gated.line.control.status().backends[0].flags == ()
    gated.line.clock.advance(3601)
    reviewer.tick()
    flag = gated.line.control.status().backends[0].flags[0]
    assert flag.startswith("v1: the gate would refuse it now")
    assert "CVE-2022-21797" in flag
    assert gated.line.served() == {"v1": 1}
    differences = gated.line.control.why("digits").differences
    assert [one.actual for one in differences if one.what == "gate about v1"] == ["flagged"]
    assert gated.kinds()[-1] == Kind.GATE_FLAGGED

    gated.text = gated.text.replace(expires.isoformat(), (expires + timedelta(days=9)).isoformat())
    reviewer.tick()
    reviewer.tick()
    assert gated.line.control.status().backends[0].flags == ()
    assert gated.kinds().count(Kind.GATE_FLAGGED) == gated.kinds().count(Kind.GATE_CLEARED) == 1


def test_data_that_grows_old_flags_what_it_let_run_and_refuses_what_is_new(
    gated: Gated, tmp_path: Path
) -> None:
    import_advisories(gated, tmp_path)
    line = gated.line
    newest = gated.advisories.status().newest_at
    assert newest is not None
    age = (line.clock.now() - newest).days
    gated.text = BLOCKING.replace("100000", f"{age + 7}, admitted_data_age_days_max: {age + 30}")
    reviewer = Reviewer(plane=line.plane)
    line.plane.resolver = _Lock(b"joblib==1.4.2 --hash=sha256:00\n")  # type: ignore[assignment]
    assert redeploy(gated) == {"v1": "ready"}
    reviewer.tick()
    assert line.control.status().backends[0].flags == ()

    line.clock.advance(8 * 86400)
    reviewer.tick()
    assert "fresh data let it run on" in line.control.status().backends[0].flags[0]
    assert gated.kinds()[-1] == Kind.GATE_FLAGGED
    line.control.scale("digits", 2, None, ASKER)
    line.run()
    assert line.served() == {"v1": 2}
    assert line.control.explain_gate("digits", None).replays
    said = [
        one for one in line.control.recent_events("digits", 100) if one.kind == Kind.GATE_PASSED
    ]
    assert said[-1].reason.startswith("no rule refuses, 1 warned: advisory-data: ")
    gated.deploy(pickle.dumps([2]))
    line.run()
    assert line.phases()["v2"] == "failed"

    line.clock.advance(30 * 86400)
    reviewer.tick()
    assert "would refuse it now" in line.control.status().backends[0].flags[0]
    line.control.scale("digits", 3, "v1", ASKER)
    line.run()
    assert line.served() == {"v1": 2}


def test_new_advisories_flag_what_runs_and_a_retired_release_is_left_alone(
    gated: Gated, tmp_path: Path
) -> None:
    reviewer = Reviewer(plane=gated.line.plane)
    gated.text = BLOCKING.replace("{data_age", "{mode: warn, data_age")
    gated.line.plane.resolver = _Lock(b"joblib==1.1.0 --hash=sha256:00\n")  # type: ignore[assignment]
    redeploy(gated)
    reviewer.tick()
    assert gated.line.control.status().backends[0].flags == ()
    import_advisories(gated, tmp_path)
    reviewer.tick()
    assert gated.line.control.status().backends[0].flags[0].startswith("v1: warning: 1 blocked")
    gated.line.control.delete("digits", ASKER)
    gated.line.run(60)
    reviewer.tick()
    assert gated.line.plane.gate is not None
    assert gated.line.plane.gate.flags == {}


def test_a_policy_that_cannot_be_read_flags_everything_that_runs(gated: Gated) -> None:
    reviewer = Reviewer(plane=gated.line.plane)
    redeploy(gated)
    gated.text = "sections: ["
    reviewer.tick()
    assert "could not be judged again" in gated.line.control.status().backends[0].flags[0]


def test_two_releases_are_compared_by_todays_data(gated: Gated, tmp_path: Path) -> None:
    gated.text = BLOCKING.replace("{data_age", "{mode: warn, data_age")
    for lock in (b"joblib==1.1.0 --hash=sha256:00\n", b"joblib==1.4.2 --hash=sha256:00\nnew==1\n"):
        gated.line.plane.resolver = _Lock(lock)  # type: ignore[assignment]
        digest = gated.line.artefacts.put_stream([pickle.dumps([1])], expected=None)
        model = ModelSpec(path="model.pkl", engine="sklearn", allow_pickle=True)
        request = DeployRequest(
            spec=Spec(name="digits", model=model), model_digest=digest, model_name="model.pkl",
            relock=True,
        )  # fmt: skip
        gated.line.control.deploy(request, ASKER)
        gated.line.run()
    import_advisories(gated, tmp_path)
    found = gated.line.control.gate_changes("digits", None, None)
    assert (found.since, found.version) == ("v1", "v2")
    assert [one.id for one in found.changes.went] == ["CVE-2022-21797"]
    assert found.changes.came == ()
    assert [(one.name, one.before, one.after) for one in found.changes.packages] == [
        ("joblib", "1.1.0", "1.4.2"),
        ("new", "", "1"),
    ]
    with pytest.raises(NotFound):
        gated.line.control.gate_changes("digits", None, "v1")


def test_the_compliance_report_names_a_proof_for_what_it_claims(gated: Gated) -> None:
    private, public = create_key(None)
    gated.text = demanding(public, "provenance").replace("enforce", "warn")
    redeploy(gated)
    attest(gated, EcdsaSigner(PemKey(private)))
    Reviewer(plane=gated.line.plane).tick()
    found = gated.line.control.compliance("digits")
    release = found.releases[0]
    assert found.log_size > 0
    assert release.replays
    assert {one.kind for one in release.approvals} >= {Kind.RELEASE_CREATED, Kind.SIGNATURE_ADDED}
    states = {(one.framework.split()[0], one.id): one for one in release.controls}
    assert states["SLSA", "Build L1"].state == "met"
    assert states["SLSA", "Build L2"].state == "not met"
    assert states["CIS", "4.1"].state == "does not apply"
    assert states["NIST", "RV.1.1"].state == "not met"
    assert all(one.proofs for one in release.controls if one.state == "met")


def _rule(gated: Gated, name: str) -> str:
    found = gated.line.control.explain_gate("digits", None)
    return next(one.message for one in found.rules if one.rule == name)


class _Breaks:
    """A scanner that breaks on what it is shown."""

    name = "breaks"

    def scan(self, *_words: object) -> None:
        raise RecursionError("too deep")

    def match(self, *_words: object) -> None:
        raise ZeroDivisionError

    def status(self) -> None:
        raise ZeroDivisionError


def test_a_scanner_that_breaks_speaks_against_what_it_was_shown(gated: Gated) -> None:
    gate = gated.line.plane.gate
    assert gate is not None
    gate.models = _Breaks()  # type: ignore[assignment]
    with pytest.raises(Refused, match="broke off"):
        gated.deploy(pickle.dumps([1]))


def test_a_broken_advisory_database_counts_as_none(gated: Gated) -> None:
    gate = gated.line.plane.gate
    assert gate is not None
    gated.text = BLOCKING
    gate.advisories = _Breaks()  # type: ignore[assignment]
    assert redeploy(gated) == {"v1": "failed"}
    assert "no advisory database" in _rule(gated, "advisory-data")
