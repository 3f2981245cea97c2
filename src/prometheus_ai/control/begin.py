"""Beginning: what a control plane does once, before its loops run."""

from prometheus_ai.control.access import NewToken, create_token
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.loop.look import sight
from prometheus_ai.control.plane import Plane, Sight
from prometheus_ai.control.requests import Asker
from prometheus_ai.control.rollouts.begin import resume_all
from prometheus_ai.domain.errors import Corrupted
from prometheus_ai.domain.event import Kind, Role
from prometheus_ai.domain.replica import ReplicaPhase

ACTOR = "control-plane"


def begin(plane: Plane) -> None:
    """Record the start, and adopt the replicas that went on without a control plane.

    An audit log that cannot be continued is shown in the status: nothing can be changed then, but everything
    can still be looked at, and verified.
    """
    resume_all(plane)
    seen = sight(plane)
    try:
        _record_start(plane, seen)
    except Corrupted as error:
        plane.audit_problem = error.message


def _record_start(plane: Plane, seen: Sight) -> None:
    with plane.store.write() as tx:
        note(
            plane,
            tx,
            Kind.CONTROL_PLANE_STARTED,
            Change(
                actor=ACTOR,
                reason="the process started",
                after={"unreachable_targets": dict(seen.unreachable)},
            ),
        )
        for record in tx.open_replicas():
            found = seen.observed.get(record.id)
            if found is not None and found.phase is not ReplicaPhase.EXITED:
                note(
                    plane,
                    tx,
                    Kind.REPLICA_ADOPTED,
                    Change(
                        actor=ACTOR,
                        reason="it ran on while the control plane was away",
                        about=(record.backend, record.version),
                        after={"replica": record.id},
                    ),
                )


def first_token(plane: Plane) -> NewToken:
    """Make the local administrator's token."""
    asker = Asker(actor=ACTOR, reason="first start on this machine")
    return create_token(plane, "local administrator", Role.ADMIN.value, asker)
