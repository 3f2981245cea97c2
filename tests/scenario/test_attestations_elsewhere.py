"""Our attestations in the hands of another implementation (securesystemslib): believed, and refused, as by us."""

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from prometheus_ai.adapters.signers.ecdsa import EcdsaSigner, PemKey, create_key
from prometheus_ai.control.gates.attest import Unsigned
from prometheus_ai.gates import PREDICATES
from tests.scenario.conftest import Line
from tests.scenario.test_gate import Gated

dsse = pytest.importorskip("securesystemslib.dsse")
signer = pytest.importorskip("securesystemslib.signer")
errors = pytest.importorskip("securesystemslib.exceptions")

PRIVATE, PUBLIC = create_key(None)
_, STRANGER = create_key(None)


@pytest.fixture
def said(line: Line, tmp_path: Path) -> tuple[Unsigned, ...]:
    gated = Gated(line, tmp_path / "gate")
    gated.deploy(pickle.dumps([1]))
    line.run()
    return line.control.statements("digits", None)


def signed(one: Unsigned) -> dict[str, Any]:
    predicate = json.dumps(one.predicate).encode()
    bundle = EcdsaSigner(PemKey(PRIVATE)).sign(one.subject, one.name, one.predicate_type, predicate)
    found: dict[str, Any] = json.loads(bundle)["dsseEnvelope"]
    return found


def key_of(pem: str, envelope: dict[str, Any]) -> Any:
    public = serialization.load_pem_public_key(pem.encode())
    return signer.SSlibKey.from_crypto(public, keyid=envelope["signatures"][0]["keyid"])


def verify(envelope: dict[str, Any], pem: str = PUBLIC) -> Any:
    return dsse.Envelope.from_dict(json.loads(json.dumps(envelope))).verify(
        [key_of(pem, envelope)], 1
    )


def test_every_statement_is_believed_elsewhere_and_says_what_it_is_about(
    said: tuple[Unsigned, ...],
) -> None:
    assert [one.kind for one in said] == ["provenance", "sbom", "scan", "decision"]
    for one in said:
        envelope = signed(one)
        assert verify(envelope)
        statement = json.loads(base64.b64decode(envelope["payload"]))
        assert statement["_type"] == "https://in-toto.io/Statement/v1"
        assert statement["predicateType"] == PREDICATES[one.kind]
        # A replayed statement is told by its subject, which is signed with the rest.
        assert [f"sha256:{each['digest']['sha256']}" for each in statement["subject"]] == [
            one.subject
        ]


def test_another_key_and_one_changed_byte_are_refused_elsewhere(said: tuple[Unsigned, ...]) -> None:
    for one in said:
        envelope = signed(one)
        with pytest.raises(errors.VerificationError):
            verify(envelope, STRANGER)
        payload = bytearray(base64.b64decode(envelope["payload"]))
        payload[len(payload) // 2] ^= 1
        with pytest.raises(errors.VerificationError):
            verify({**envelope, "payload": base64.b64encode(bytes(payload)).decode()})
        with pytest.raises(errors.VerificationError):
            verify({**envelope, "payloadType": "text/plain"})


def test_the_content_of_each_statement_is_what_its_type_promises(
    said: tuple[Unsigned, ...],
) -> None:
    content = {one.kind: one.predicate for one in said}
    build = content["provenance"]["buildDefinition"]
    assert {one["name"] for one in build["resolvedDependencies"]} >= {"model.pkl"}
    assert all(len(one["digest"]["sha256"]) in (2, 64) for one in build["resolvedDependencies"])
    assert content["provenance"]["runDetails"]["builder"]["id"].startswith("urn:")
    assert (content["sbom"]["bomFormat"], content["sbom"]["specVersion"]) == ("CycloneDX", "1.6")
    assert content["scan"]["scanner"]["compared"] is False
    assert content["decision"]["verificationResult"] == "PASSED"
