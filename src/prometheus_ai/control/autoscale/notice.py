"""Notice: a replica's machine goes away soon, so the replica is replaced and drained before."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.loop.passes import act_on
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.domain.errors import InvalidInput, NotFound, Unsupported
from prometheus_ai.domain.event import Kind

WITHIN_S_MAX = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Noticed:
    """A notice that was taken."""

    replica: str
    backend: str
    version: str
    by: datetime


def give_notice(plane: Plane, replica_id: str, within_s: float, asker: Asker) -> Noticed:
    """Say that a replica will be gone within some seconds.

    Raises:
        NotFound: no such replica runs.
        InvalidInput: the time is out of bounds.
        Unsupported: this control plane keeps no notices.
    """
    if not 0 < within_s <= WITHIN_S_MAX:
        raise InvalidInput(
            f"within_s must be above 0 and at most {WITHIN_S_MAX:g}, not {within_s:g}"
        )
    if plane.notices is None:
        raise Unsupported("this control plane keeps no notices")
    with plane.lock:
        now = plane.clock.now()
        with plane.store.write() as tx:
            record = tx.replica(replica_id)
            if record is None or not record.is_open:
                raise NotFound(
                    f"no replica {replica_id!r} runs", hint="`pai status NAME` lists them"
                )
            by = now + timedelta(seconds=within_s)
            plane.notices.put(replica_id, by)
            note(
                plane,
                tx,
                Kind.REPLICA_NOTICED,
                Change(
                    actor=asker.actor,
                    reason=asker.reason or "its machine goes away",
                    about=(record.backend, record.version),
                    after={"replica": replica_id, "within_s": within_s},
                ),
            )
    act_on(plane, record.backend)
    return Noticed(replica=replica_id, backend=record.backend, version=record.version, by=by)
