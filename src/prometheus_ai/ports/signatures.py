"""Signatures over models and images."""

from collections.abc import Mapping
from typing import Protocol

from prometheus_ai.domain.gate import SignatureCheck


class SignatureVerifier(Protocol):
    """Verifies bundles with keys that the policy names; nothing else makes a signature count."""

    def verify(self, bundle: bytes, keys: Mapping[str, str], digest: str) -> SignatureCheck:
        """Check one Sigstore bundle against a subject's digest; ``keys`` are PEM public keys by name.

        Never raises for what is in the bundle: a check with a problem says why it does not count.
        """


class SigningKey(Protocol):
    """One private key, in a file, a variable or a key management system."""

    @property
    def public_key(self) -> str:
        """The key's public half, as PEM."""

    def sign_digest(self, digest: bytes) -> bytes:
        """Return an ASN.1 DER signature over a SHA-256 digest.

        Raises:
            Unavailable: what keeps the key does not sign now.
        """
