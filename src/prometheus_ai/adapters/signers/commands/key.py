"""A key behind a program: ``PROGRAM public-key`` prints PEM, ``PROGRAM sign-digest sha256:…`` prints base64."""

import base64
import binascii
import shlex
import subprocess

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from prometheus_ai.domain.errors import InvalidInput, Unavailable

ANSWER_S = 60.0
ANSWER_BYTES_MAX = 2**16
_HINT = "it is called with `public-key`, and with `sign-digest sha256:…`"


class CommandKey:
    """Signs through a program of the user's; what it answers is checked before it is used."""

    def __init__(self, command: str) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise InvalidInput(f"exec:{command} cannot be read: {error}") from error
        if not self._words:
            raise InvalidInput("exec: names no program", hint="exec:/path/to/program --its-option")
        self._public = self._read_public()

    @property
    def public_key(self) -> str:
        """The key's public half, as PEM."""
        return self._public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()

    def sign_digest(self, digest: bytes) -> bytes:
        """Return a signature over a SHA-256 digest."""
        said = self._ask("sign-digest", f"sha256:{digest.hex()}")
        try:
            signature = base64.b64decode(b"".join(said.split()), validate=True)
            self._public.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        except (binascii.Error, InvalidSignature) as error:
            raise Unavailable(
                f"{self._words[0]} answered no signature that its own public key confirms",
                hint="it prints base64 of an ASN.1 DER signature over the digest as it is",
            ) from error
        return signature

    def _read_public(self) -> ec.EllipticCurvePublicKey:
        try:
            key = serialization.load_pem_public_key(self._ask("public-key"))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidInput(
                f"{self._words[0]} printed no public key: {error}", hint=_HINT
            ) from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise InvalidInput(f"the key of {self._words[0]} is not ECDSA P-256")
        return key

    def _ask(self, *words: str) -> bytes:
        try:
            done = subprocess.run(
                [*self._words, *words], capture_output=True, timeout=ANSWER_S, check=False
            )
        except OSError as error:
            raise InvalidInput(f"{self._words[0]} cannot be started: {error}") from error
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{self._words[0]} did not answer within {ANSWER_S:g} s") from error
        if done.returncode or len(done.stdout) > ANSWER_BYTES_MAX:
            said = done.stderr.decode("utf-8", "replace").strip()[-300:]
            raise Unavailable(
                f"{self._words[0]} {words[0]} ended with {done.returncode}: {said}", hint=_HINT
            )
        return done.stdout
