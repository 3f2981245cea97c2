"""Signing on this machine: with a key in a file, in a variable, or behind a program."""

import os
from pathlib import Path

from prometheus_ai.adapters.signers.commands import CommandKey
from prometheus_ai.adapters.signers.ecdsa import EcdsaSigner, PemKey, create_key
from prometheus_ai.domain.errors import Conflict, InvalidInput
from prometheus_ai.ports.signatures import SigningKey

PASSWORD_VARIABLE = "PAI_KEY_PASSWORD"
PRIVATE_VARIABLE = "PAI_SIGNING_KEY"
COMMAND = "exec:"
"""What a key begins with that a program keeps: ``exec:PROGRAM ARGUMENTS``."""


def make_key(path: Path) -> str:
    """Write a new private key, encrypted with PAI_KEY_PASSWORD where that is set; return the public half.

    Raises:
        Conflict: the file exists.
    """
    private, public = create_key(_password())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Conflict(f"{path} exists", hint="choose another file") from error
    with os.fdopen(handle, "wb") as file:
        file.write(private)
        file.flush()
        os.fsync(file.fileno())
    return public


def signer_of(key: str | None) -> EcdsaSigner:
    """Return what signs with a key: a PEM file, ``exec:PROGRAM``, or PAI_SIGNING_KEY when None.

    Raises:
        InvalidInput: there is no key, or it cannot be read.
        Unavailable: the program that keeps it does not answer.
    """
    return EcdsaSigner(_key_of(key))


def sign_with(key: str | None, digest: str, name: str, statement: tuple[str, bytes]) -> bytes:
    """Sign a statement, as (predicate type, JSON), about a digest.

    Raises:
        InvalidInput: there is no key, or it cannot be read.
        Unavailable: the program that keeps it does not answer.
    """
    return signer_of(key).sign(digest, name, *statement)


def _key_of(key: str | None) -> SigningKey:
    if key and key.startswith(COMMAND):
        return CommandKey(key.removeprefix(COMMAND))
    if key:
        try:
            return PemKey(Path(key).read_bytes(), _password())
        except OSError as error:
            raise InvalidInput(f"the key {key} cannot be read: {error}") from error
    held = os.environ.get(PRIVATE_VARIABLE, "")
    if held.startswith(COMMAND):
        return CommandKey(held.removeprefix(COMMAND))
    if not held:
        raise InvalidInput(
            "no key to sign with",
            hint=f"give --key FILE or --key exec:PROGRAM, or set {PRIVATE_VARIABLE}",
        )
    return PemKey(held.encode(), _password())


def _password() -> bytes | None:
    return os.environ.get(PASSWORD_VARIABLE, "").encode() or None
