"""Signing statements with a P-256 key, wherever the key is kept."""

import hashlib
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from prometheus_ai.adapters.signers.ecdsa import cosign, envelope
from prometheus_ai.adapters.signers.ecdsa.keys import hint_of, public_pem, read_private, read_public
from prometheus_ai.domain.image import Attachment
from prometheus_ai.ports.signatures import SigningKey


class PemKey:
    """A key in a PEM file or variable."""

    def __init__(self, pem: bytes, password: bytes | None = None) -> None:
        self._private = read_private(pem, password)

    @property
    def public_key(self) -> str:
        """The key's public half, as PEM."""
        return public_pem(self._private.public_key())

    def sign_digest(self, digest: bytes) -> bytes:
        """Return a signature over a SHA-256 digest."""
        return self._private.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


class EcdsaSigner:
    """Signs with one P-256 key."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self._hint = hint_of(read_public(key.public_key))

    @property
    def public_key(self) -> str:
        """The key's public half, as PEM."""
        return self._key.public_key

    def sign(self, digest: str, name: str, predicate_type: str, predicate: bytes) -> bytes:
        """Return a bundle over a statement about a subject; ``predicate`` is JSON."""
        return self.sign_all({digest: name}, predicate_type, predicate)

    def sign_all(self, subjects: Mapping[str, str], predicate_type: str, predicate: bytes) -> bytes:
        """Return a bundle over a statement about several subjects, names by digest."""
        payload = envelope.statement(subjects, predicate_type, json.loads(predicate))
        signed = envelope.pre_authentication(envelope.PAYLOAD_TYPE, payload)
        return envelope.bundle(payload, self._sign(signed), self._hint)

    def sign_image(
        self, reference: str, digest: str, manifest_bytes: int, image_id: str = ""
    ) -> tuple[Attachment, Attachment]:
        """Return both of cosign's forms for an image: a bundle that refers to it, and the older ``.sig`` tag.

        ``image_id``, the digest of its configuration, makes the bundle count where an engine runs it, too.
        """
        subjects = {digest: reference} | ({image_id: reference} if image_id else {})
        signed = self.sign_all(subjects, cosign.PREDICATE, b"{}")
        payload = cosign.payload(reference, digest)
        return (
            cosign.referrer(digest, signed, cosign.PREDICATE, manifest_bytes),
            cosign.signature_tag(digest, payload, self._sign(payload)),
        )

    def _sign(self, data: bytes) -> bytes:
        return self._key.sign_digest(hashlib.sha256(data).digest())
