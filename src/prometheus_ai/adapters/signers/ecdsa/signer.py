"""Signing with a key in a PEM file or variable."""

import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from prometheus_ai.adapters.signers.ecdsa import cosign, envelope
from prometheus_ai.adapters.signers.ecdsa.keys import hint_of, public_pem, read_private


class EcdsaSigner:
    """Signs with one P-256 key."""

    def __init__(self, pem: bytes, password: bytes | None = None) -> None:
        self._private = read_private(pem, password)

    @property
    def public_key(self) -> str:
        """The key's public half, as PEM."""
        return public_pem(self._private.public_key())

    def sign(self, digest: str, name: str, predicate_type: str, predicate: bytes) -> bytes:
        """Return a bundle over a statement about a subject; ``predicate`` is JSON."""
        payload = envelope.statement(digest, name, predicate_type, json.loads(predicate))
        signed = envelope.pre_authentication(envelope.PAYLOAD_TYPE, payload)
        return envelope.bundle(payload, self._sign(signed), hint_of(self._private.public_key()))

    def sign_image(self, reference: str, digest: str) -> tuple[cosign.Artefact, cosign.Artefact]:
        """Return both of cosign's forms for an image: a bundle that refers to it, and the older ``.sig`` tag."""
        signed = self.sign(digest, reference, cosign.PREDICATE, b"{}")
        payload = cosign.payload(reference, digest)
        return (
            cosign.referrer(digest, signed, cosign.PREDICATE),
            cosign.signature_tag(digest, payload, self._sign(payload)),
        )

    def _sign(self, data: bytes) -> bytes:
        return self._private.sign(data, ec.ECDSA(hashes.SHA256()))
