"""Keeping signatures: they count only when the policy's keys verify them, at every decision anew."""

import json

from prometheus_ai.control.gates.admit import signatures_setting
from prometheus_ai.control.gates.explain import policy_of
from prometheus_ai.control.gates.records import gate_of
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.gate import SignatureCheck

BUNDLES_MAX = 64


def add(plane: Plane, digest: str, bundle: bytes, asker: Asker) -> SignatureCheck:
    """Keep a bundle over a digest; return what the policy's keys make of it now.

    Raises:
        InvalidInput: it speaks of something else, or there are too many already.
    """
    gate = gate_of(plane)
    check = gate.signatures.verify(bundle, policy_of(gate).keys, digest)
    if check.key and check.problem:
        raise InvalidInput(f"the signature does not fit {digest}: {check.problem}")
    stored = gate.evidence.put_stream([bundle], expected=None)
    with plane.lock, plane.store.write() as tx:
        held = json.loads(tx.setting(signatures_setting(digest)) or "[]")
        if stored not in held:
            if len(held) >= BUNDLES_MAX:
                raise InvalidInput(f"{digest} has {BUNDLES_MAX} signatures already")
            tx.put_setting(signatures_setting(digest), json.dumps([*held, stored]))
            note(
                plane,
                tx,
                Kind.SIGNATURE_ADDED,
                Change(
                    actor=asker.actor,
                    reason=asker.reason or "signed",
                    after={
                        "subject": digest,
                        "bundle": stored,
                        "key": check.key or "not in the policy",
                    },
                ),
            )
    with gate.lock:
        gate.signatures_added += 1
    return check
