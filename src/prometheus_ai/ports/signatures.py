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


class Signer(Protocol):
    """Signs statements with one private key."""

    @property
    def public_key(self) -> str:
        """The key's public half, as PEM."""

    def sign(self, digest: str, name: str, predicate_type: str, predicate: bytes) -> bytes:
        """Return a Sigstore bundle (v0.3) over an in-toto statement about a subject."""
