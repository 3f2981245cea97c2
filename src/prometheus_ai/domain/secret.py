"""Secrets that do not show themselves, where the secrets of backends are kept, and API tokens.

A token is ``pai_`` and 43 + 6 characters of base 62: 256 random bits and a checksum, so that a mistyped
token is told from an unknown one and scanners can find leaked ones without guessing.
"""

import hashlib
import hmac
import re
import zlib
from typing import NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MASK = "***"
TOKEN_PREFIX = "pai_"
TOKEN_BYTES = 32

SECRET_NAME = r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"
ENV_PREFIX = "PAI_SECRET_"
"""Variables of the control plane that secrets may come from; others are the operator's own."""
SECRETS_FOLDER = "/run/secrets"
"""Where a container finds its secrets, one file each."""
SECRETS_VARIABLE = "PAI_SECRETS"
"""The variable that tells a model server's process where its secrets are."""

_PLACES = ("env", "file", "docker", "vault")

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY_LENGTH = 43
_CHECK_LENGTH = 6
_TOKEN = re.compile(rf"{TOKEN_PREFIX}[0-9A-Za-z]{{{_BODY_LENGTH + _CHECK_LENGTH}}}")


class Secret:
    """Text that prints as ``***``; ``reveal`` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


class SecretReference(BaseModel):
    """Where one secret is kept; exactly one of `env`, `file`, `docker` and `vault`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, strict=False)

    env: str | None = Field(
        default=None,
        pattern=rf"^{ENV_PREFIX}[A-Za-z0-9_]{{1,100}}$",
        description="A variable of the control plane; its name starts with `PAI_SECRET_`.",
        examples=["PAI_SECRET_HUB_TOKEN"],
    )
    file: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="A file in the control plane's folder of secrets (setting `secrets_folder`).",
        examples=["hub-token"],
    )
    docker: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$",
        description="A Docker secret given to the control plane's own container.",
        examples=["hub-token"],
    )
    vault: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_. -]+)+$",
        max_length=512,
        description="A path in Vault's key-value store, version 2: the mount, then the path.",
        examples=["secret/team/digits"],
    )
    field: str = Field(
        default="value",
        min_length=1,
        max_length=128,
        description="Which field of the Vault secret.",
    )

    @property
    def words(self) -> str:
        """The reference in one word, for messages: ``env:PAI_SECRET_HUB``."""
        kind = next(name for name in _PLACES if getattr(self, name) is not None)
        text = f"{kind}:{getattr(self, kind)}"
        return f"{text}#{self.field}" if kind == "vault" else text

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if sum(getattr(self, name) is not None for name in _PLACES) != 1:
            raise ValueError(f"give exactly one of {', '.join(_PLACES)}")
        if self.vault is not None and any(part in (".", "..") for part in self.vault.split("/")):
            raise ValueError(f"{self.vault!r} is no path in Vault")
        return self


def new_token(random_bytes: bytes) -> tuple[Secret, bytes]:
    """Make an API token from 32 random bytes; return what to show once, and what to store.

    Raises:
        ValueError: there are not 32 bytes.
    """
    if len(random_bytes) != TOKEN_BYTES:
        raise ValueError(f"a token is made from {TOKEN_BYTES} random bytes")
    body = _base62(int.from_bytes(random_bytes, "big"), _BODY_LENGTH)
    display = f"{TOKEN_PREFIX}{body}{_checksum(body)}"
    return Secret(display), hash_token(display)


def hash_token(display: str) -> bytes:
    """Return what is stored for a token; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(display.encode("utf-8", "surrogatepass")).digest()


def is_well_formed(display: str) -> bool:
    """Whether this could be a token: prefix, length, alphabet and checksum fit."""
    if _TOKEN.fullmatch(display) is None:
        return False
    return display[-_CHECK_LENGTH:] == _checksum(display[len(TOKEN_PREFIX) : -_CHECK_LENGTH])


def matches(display: str, secret_hash: bytes) -> bool:
    """Whether a token is the stored one, in time that does not tell how nearly."""
    return hmac.compare_digest(hash_token(display), secret_hash)


def mask_tokens(text: str) -> str:
    """Replace every API token in a text by ``***``."""
    return _TOKEN.sub(MASK, text) if TOKEN_PREFIX in text else text


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
