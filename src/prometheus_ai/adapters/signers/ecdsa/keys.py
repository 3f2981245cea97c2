"""Keys as PEM: PKCS8, with a password or without."""

import base64
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from prometheus_ai.domain.errors import InvalidInput


def create_key(password: bytes | None) -> tuple[bytes, str]:
    """Return a new private key as PKCS8 PEM, encrypted when there is a password, and its public half."""
    private = ec.generate_private_key(ec.SECP256R1())
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    return pem, public_pem(private.public_key())


def read_private(pem: bytes, password: bytes | None) -> ec.EllipticCurvePrivateKey:
    """Return a P-256 private key.

    Raises:
        InvalidInput: it is none, or the password is wrong or missing.
    """
    if b"ENCRYPTED SIGSTORE" in pem or b"ENCRYPTED COSIGN" in pem:
        raise InvalidInput(
            "cosign's own encrypted form of a private key is not read",
            hint="make a key with `pai key create`, or convert it to PKCS8",
        )
    try:
        key = serialization.load_pem_private_key(pem, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidInput(
            f"the private key cannot be read: {error}", hint="check the file and PAI_KEY_PASSWORD"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise InvalidInput("the private key is not ECDSA P-256")
    return key


def read_public(pem: str) -> ec.EllipticCurvePublicKey:
    """Return a P-256 public key.

    Raises:
        InvalidInput: it is none.
    """
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput(f"a public key cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise InvalidInput("a public key is not ECDSA P-256")
    return key


def public_pem(key: ec.EllipticCurvePublicKey) -> str:
    """Return a public key as PEM."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def hint_of(key: ec.EllipticCurvePublicKey) -> str:
    """Return cosign's name of a key: base64 of SHA-256 over its DER form."""
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(hashlib.sha256(der).digest()).decode()
