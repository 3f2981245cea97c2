"""Keys that a program keeps: asked by digest, and never believed unchecked."""

import sys
from pathlib import Path

import pytest

from prometheus_ai.adapters.signers.commands import CommandKey
from prometheus_ai.adapters.signers.ecdsa import BundleVerifier, EcdsaSigner, create_key
from prometheus_ai.domain.errors import InvalidInput, Unavailable

DIGEST = "sha256:" + "ab" * 32
KEEPER = """
import base64, sys
from pathlib import Path
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
key = serialization.load_pem_private_key(Path(sys.argv[1]).read_bytes(), None)
shown = serialization.load_pem_private_key(Path(sys.argv[2]).read_bytes(), None).public_key()
if sys.argv[3] == "public-key":
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    print(shown.public_bytes(serialization.Encoding.PEM, kind).decode())
elif sys.argv[3] == "sign-digest":
    digest = bytes.fromhex(sys.argv[4].removeprefix("sha256:"))
    print(base64.b64encode(key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))).decode())
"""


def keeper(folder: Path, *, shows_another: bool = False) -> str:
    """Write a program that keeps a key; return how it is called."""
    (folder / "keeper.py").write_text(KEEPER)
    for name in ("a.pem", "b.pem"):
        (folder / name).write_bytes(create_key(None)[0])
    shown = "b.pem" if shows_another else "a.pem"
    return f"{sys.executable} '{folder}/keeper.py' '{folder}/a.pem' '{folder}/{shown}'"


def test_a_program_signs_and_its_signature_verifies(tmp_path: Path) -> None:
    signer = EcdsaSigner(CommandKey(keeper(tmp_path)))
    bundle = signer.sign(DIGEST, "model", "urn:x", b"{}")
    assert BundleVerifier().verify(bundle, {"kms": signer.public_key}, DIGEST).key == "kms"


def test_a_signature_by_another_key_than_the_shown_one_is_not_used(tmp_path: Path) -> None:
    signer = EcdsaSigner(CommandKey(keeper(tmp_path, shows_another=True)))
    with pytest.raises(Unavailable, match="confirms"):
        signer.sign(DIGEST, "model", "urn:x", b"{}")


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("", InvalidInput),
        ("'unclosed", InvalidInput),
        ("/nowhere/at-all", InvalidInput),
        ("false", Unavailable),
        ("echo", InvalidInput),
    ],
)
def test_programs_that_keep_no_key_are_told_apart(command: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        CommandKey(command)
