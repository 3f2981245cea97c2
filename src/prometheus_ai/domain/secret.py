"""Secrets that do not show themselves, and API tokens.

A token is ``pai_`` and 43 + 6 characters of base 62: 256 random bits and a checksum, so that a mistyped
token is told from an unknown one and scanners can find leaked ones without guessing.
"""

import hashlib
import hmac
import re
import zlib
from typing import NoReturn

MASK = "***"
TOKEN_PREFIX = "pai_"
TOKEN_BYTES = 32

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
