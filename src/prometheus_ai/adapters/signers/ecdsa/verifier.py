"""Checking bundles with the keys of a policy."""

from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from prometheus_ai.adapters.signers.ecdsa.cosign import PREDICATE, signed_digest
from prometheus_ai.adapters.signers.ecdsa.envelope import (
    BadBundle,
    Envelope,
    open_bundle,
    open_statement,
)
from prometheus_ai.adapters.signers.ecdsa.keys import read_public
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.gate import SignatureCheck


class BundleVerifier:
    """Verifies Sigstore bundles, offline."""

    def verify(self, bundle: bytes, keys: Mapping[str, str], digest: str) -> SignatureCheck:
        """Say which key signed a bundle, whether it speaks of the digest, and what it claims."""
        try:
            envelope = open_bundle(bundle)
            key = _signer(envelope, keys)
            if not key:
                return SignatureCheck(
                    key="", subject="", predicate="", problem="no key of the policy made it"
                )
            digests, predicate, content = open_statement(envelope.payload)
        except BadBundle as error:
            return SignatureCheck(key="", subject="", predicate="", problem=str(error))
        if digest not in digests:
            return SignatureCheck(
                key=key, subject=min(digests), predicate=predicate,
                problem="it speaks of something else",
            )  # fmt: skip
        return SignatureCheck(
            key=key, subject=digest, predicate=predicate, verdict=_verdict(content)
        )


def _verdict(predicate: Any) -> str:
    """Return what a verification summary concludes; other predicates conclude nothing."""
    found = predicate.get("verificationResult") if isinstance(predicate, dict) else None
    return found if isinstance(found, str) else ""


def _signer(envelope: Envelope, keys: Mapping[str, str]) -> str:
    for name, pem in keys.items():
        try:
            read_public(pem).verify(
                envelope.signatures[0], envelope.signed, ec.ECDSA(hashes.SHA256())
            )
        except (InvalidSignature, InvalidInput):
            continue
        return name
    return ""


def verify_older(
    payload: bytes, signature: bytes, keys: Mapping[str, str], digest: str
) -> SignatureCheck:
    """Check a signature in cosign's older form against an image's digest."""
    for name, pem in keys.items():
        try:
            read_public(pem).verify(signature, payload, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, InvalidInput):
            continue
        subject = signed_digest(payload)
        return SignatureCheck(
            key=name, subject=subject, predicate=PREDICATE,
            problem="" if subject == digest else "it speaks of something else",
        )  # fmt: skip
    return SignatureCheck(key="", subject="", predicate="", problem="no key of the policy made it")
