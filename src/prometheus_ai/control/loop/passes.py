"""One pass of the control loop: prepare, decide, act, clean up."""

from datetime import datetime

from prometheus_ai.audit import advance_checkpoint
from prometheus_ai.control.loop.decide import decide, finish_deletions
from prometheus_ai.control.loop.effects import run
from prometheus_ai.control.loop.prepare import prepare
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.errors import PlatformError


def reconcile_once(plane: Plane) -> datetime | None:
    """Run one pass over every backend; return when to look again at the latest, when that is known."""
    started = plane.clock.monotonic()
    decision = decide(plane)
    run(plane, decision.effects)
    prepare(plane, decision.unprepared)
    finish_deletions(plane, decision.gone)
    keep_checkpoint(plane)
    plane.last_pass_s = plane.clock.monotonic() - started
    return decision.look_again_at


def act_on(plane: Plane, backend: str) -> None:
    """Decide about one backend now, after a person changed what they want of it."""
    decision = decide(plane, only=backend)
    run(plane, decision.effects)
    plane.wake.set()


def keep_checkpoint(plane: Plane) -> None:
    """Keep the audit log's head outside the store, so that a cut or restored log is noticed.

    A log that does not continue the checkpoint is shown in the status; traffic and replicas go on.
    """
    if plane.checkpoint_path is None:
        return
    try:
        with plane.store.read() as reading:
            advance_checkpoint(reading, plane.checkpoint_path, plane.clock.now())
    except PlatformError as error:
        plane.audit_problem = error.message
    else:
        plane.audit_problem = ""
