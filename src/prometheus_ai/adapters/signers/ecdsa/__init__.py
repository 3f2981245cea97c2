"""ECDSA P-256 signatures in the forms that cosign and its relatives read.

A digest and a key enter; Sigstore bundles (v0.3), cosign's older payloads and checks of both leave.
Trust comes from the policy's keys alone, never from a hint inside a bundle.
"""

from prometheus_ai.adapters.signers.ecdsa.keys import create_key, read_public
from prometheus_ai.adapters.signers.ecdsa.signer import EcdsaSigner, PemKey
from prometheus_ai.adapters.signers.ecdsa.verifier import BundleVerifier, verify_older

__all__ = ["BundleVerifier", "EcdsaSigner", "PemKey", "create_key", "read_public", "verify_older"]
