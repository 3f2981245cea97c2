"""Signatures: made by us, verified by others; and everything that must not verify."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_ai.adapters.signers.ecdsa import (
    BundleVerifier,
    EcdsaSigner,
    PemKey,
    create_key,
    verify_older,
)
from prometheus_ai.adapters.signers.ecdsa.cosign import PREDICATE
from prometheus_ai.domain.errors import InvalidInput

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32
PRIVATE, PUBLIC = create_key(None)
STRANGER, STRANGER_PUBLIC = create_key(None)
KEYS = {"release": PUBLIC}
BUNDLE = EcdsaSigner(PemKey(PRIVATE)).sign(DIGEST, "model", PREDICATE, b"{}")


def test_a_signature_holds_with_its_key() -> None:
    check = BundleVerifier().verify(BUNDLE, KEYS, DIGEST)
    assert (check.key, check.subject, check.predicate, check.problem) == (
        "release",
        DIGEST,
        PREDICATE,
        "",
    )


def test_a_wrong_key_a_replay_and_nothing_at_all_do_not_hold() -> None:
    verifier = BundleVerifier()
    assert verifier.verify(BUNDLE, {"other": STRANGER_PUBLIC}, DIGEST).key == ""
    assert verifier.verify(BUNDLE, KEYS, OTHER).problem
    for nothing in (b"", b"{}", b"[]", b"null", b"\xff", b'{"dsseEnvelope": 3}'):
        assert verifier.verify(nothing, KEYS, DIGEST).problem


def test_the_hint_in_a_bundle_is_not_trusted() -> None:
    forged = json.loads(EcdsaSigner(PemKey(STRANGER)).sign(DIGEST, "model", PREDICATE, b"{}"))
    genuine = json.loads(BUNDLE)
    forged["verificationMaterial"] = genuine["verificationMaterial"]
    forged["dsseEnvelope"]["signatures"][0]["keyid"] = genuine["dsseEnvelope"]["signatures"][0][
        "keyid"
    ]
    assert BundleVerifier().verify(json.dumps(forged).encode(), KEYS, DIGEST).key == ""


@settings(max_examples=200)
@given(st.integers(0, len(BUNDLE) - 1), st.integers(0, 255))
def test_no_changed_byte_changes_what_is_believed(at: int, value: int) -> None:
    changed = BUNDLE[:at] + bytes([value]) + BUNDLE[at + 1 :]
    check = BundleVerifier().verify(changed, KEYS, DIGEST)
    assert check.problem or check == BundleVerifier().verify(BUNDLE, KEYS, DIGEST)


def test_an_independent_verifier_accepts_the_envelope_and_rejects_tampering() -> None:
    dsse = pytest.importorskip("securesystemslib.dsse")
    signer = pytest.importorskip("securesystemslib.signer")
    inner = json.loads(BUNDLE)["dsseEnvelope"]
    keyid = inner["signatures"][0]["keyid"]
    public = serialization.load_pem_public_key(PUBLIC.encode())
    key = signer.SSlibKey.from_crypto(public, keyid=keyid)

    def envelope(payload: str) -> object:
        signatures = [{"keyid": keyid, "sig": inner["signatures"][0]["sig"]}]
        return dsse.Envelope.from_dict(
            {"payload": payload, "payloadType": inner["payloadType"], "signatures": signatures}
        )

    assert envelope(inner["payload"]).verify([key], 1)
    altered = base64.b64decode(inner["payload"]).replace(b"abab", b"cdab", 1)
    errors = pytest.importorskip("securesystemslib.exceptions")
    with pytest.raises(errors.VerificationError):
        envelope(base64.b64encode(altered).decode()).verify([key], 1)


def test_both_forms_of_cosign_are_written_as_it_reads_them() -> None:
    referrer, tag = EcdsaSigner(PemKey(PRIVATE)).sign_image("registry.example/digits", DIGEST, 1234)
    assert tag.tag == f"sha256-{'ab' * 32}.sig"
    manifest = json.loads(tag.manifest)
    layer = manifest["layers"][0]
    payload = tag.blobs[1]
    assert layer["digest"] == "sha256:" + hashlib.sha256(payload).hexdigest()
    signature = base64.b64decode(layer["annotations"]["dev.cosignproject.cosign/signature"])
    public = serialization.load_pem_public_key(PUBLIC.encode())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, payload, ec.ECDSA(hashes.SHA256()))
    assert list(json.loads(payload)["critical"]) == ["identity", "image", "type"]
    newer = json.loads(referrer.manifest)
    assert (newer["subject"]["digest"], newer["subject"]["size"]) == (DIGEST, 1234)
    assert verify_older(payload, signature, KEYS, DIGEST).key == "release"
    assert verify_older(payload, signature, KEYS, OTHER).problem
    assert verify_older(payload + b" ", signature, KEYS, DIGEST).key == ""
    assert verify_older(payload, signature, {"other": STRANGER_PUBLIC}, DIGEST).key == ""
    assert newer["artifactType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert BundleVerifier().verify(referrer.blobs[1], KEYS, DIGEST).key == "release"


def test_keys_are_kept_by_a_password() -> None:
    private, _ = create_key(b"open sesame")
    assert b"ENCRYPTED" in private
    EcdsaSigner(PemKey(private, b"open sesame"))
    for wrong in (None, b"open barley"):
        with pytest.raises(InvalidInput):
            EcdsaSigner(PemKey(private, wrong))
    with pytest.raises(InvalidInput, match="cosign"):
        EcdsaSigner(PemKey(b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"))
