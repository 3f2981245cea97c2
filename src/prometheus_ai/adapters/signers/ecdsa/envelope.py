"""DSSE envelopes, in-toto statements and the bundle around them."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
BUNDLE_BYTES_MAX = 32 * 2**20


class BadBundle(Exception):
    """The bytes are no bundle of ours; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """What was signed, and the signatures."""

    payload: bytes
    payload_type: str
    signatures: tuple[bytes, ...]

    @property
    def signed(self) -> bytes:
        """The bytes that signatures are over."""
        return pre_authentication(self.payload_type, self.payload)


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def statement(subjects: Mapping[str, str], predicate_type: str, predicate: Any) -> bytes:
    """Return an in-toto statement about subjects, names by digest, as canonical JSON."""
    return rfc8785.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
                for digest, name in subjects.items()
            ],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def bundle(payload: bytes, signature: bytes, hint: str) -> bytes:
    """Return a Sigstore bundle of one signature by a key, without a transparency log."""
    return json.dumps(
        {
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": hint}],
            },
        }
    ).encode()


def open_bundle(data: bytes) -> Envelope:
    """Return the envelope of a bundle.

    Raises:
        BadBundle: it is none.
    """
    if len(data) > BUNDLE_BYTES_MAX:
        raise BadBundle(f"longer than {BUNDLE_BYTES_MAX} bytes")
    try:
        found = json.loads(data)
        envelope = found["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = tuple(
            base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"]
        )
        kind = envelope["payloadType"]
        media = found["mediaType"]
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError) as error:
        raise BadBundle(f"not a bundle: {error!r}") from error
    if media != BUNDLE_TYPE or kind != PAYLOAD_TYPE or len(signatures) != 1:
        raise BadBundle(f"not one signature over a statement ({media}, {kind})")
    return Envelope(payload=payload, payload_type=kind, signatures=signatures)


def open_statement(payload: bytes) -> tuple[frozenset[str], str, Any]:
    """Return the digests, the predicate type and the predicate of a verified statement.

    Raises:
        BadBundle: it is none.
    """
    try:
        found = json.loads(payload)
        digests = frozenset(f"sha256:{one['digest']['sha256']}" for one in found["subject"])
        predicate = found["predicateType"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadBundle(f"not a statement: {error!r}") from error
    if found.get("_type") != STATEMENT_TYPE or not digests or not isinstance(predicate, str):
        raise BadBundle("not a statement of a version that is known")
    return digests, predicate, found.get("predicate")
