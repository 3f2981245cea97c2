"""A replica at fault: its failures no longer count, and another takes its place."""

from dataclasses import replace

from prometheus_ai.analysis import exclude_replica
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollout_memory import active
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.evidence import FaultOwner
from prometheus_ai.domain.replica import ReplicaGoal

ACTOR = "control-plane"
EXCUSED_MAX = 2
"""One bad replica may be bad luck, and two; when more fail alone, it is the version that makes them."""


def replace_bad_replica(plane: Plane, name: str) -> None:
    """Leave a replica at fault out of the evidence, and drain it so that another is started."""
    held = active(plane, name)
    verdict = held.verdict if held is not None else None
    if held is None or verdict is None or verdict.comparison is None or not verdict.blocked_by:
        return
    blame = verdict.comparison.attribution
    if blame.owner is not FaultOwner.REPLICA or len(held.evidence.excluded) >= EXCUSED_MAX:
        return
    reason = f"its failures are its own: {blame.detail}"
    with plane.store.write() as tx:
        record = tx.replica(blame.subject)
        if record is not None and record.is_open and record.goal is ReplicaGoal.RUN:
            tx.put_replica(
                replace(
                    record, goal=ReplicaGoal.DRAIN, drain_since=plane.clock.now(), reason=reason
                )
            )
            note(
                plane,
                tx,
                Kind.REPLICA_DRAINED,
                Change(
                    actor=ACTOR,
                    reason=reason,
                    about=(name, record.version),
                    after={"replica": record.id},
                ),
            )
    plane.wake.set()
    plane.rollouts[name] = replace(held, evidence=exclude_replica(held.evidence, blame.subject))
