"""What people ask of a rollout."""

from dataclasses import dataclass, replace

from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.control.rollout_memory import active
from prometheus_ai.control.rollouts.tick import advance
from prometheus_ai.domain.errors import Conflict, InvalidInput, NotFound
from prometheus_ai.domain.rollout import Command


@dataclass(frozen=True, kw_only=True, slots=True)
class Commanded:
    """What a command came to."""

    backend: str
    candidate: str
    phase: str
    weight: float
    """Percent of traffic that the candidate has now."""
    reason: str


def command(plane: Plane, name: str, word: str, asker: Asker) -> Commanded:
    """Ask something of the rollout that is under way.

    Raises:
        NotFound: there is no such backend.
        Conflict: it has no rollout under way.
        InvalidInput: the command is unknown.
    """
    if word not in list(Command):
        raise InvalidInput(f"{word!r} is no command", hint=f"commands: {', '.join(Command)}")
    with plane.lock:
        with plane.store.read() as reading:
            if reading.backend(name) is None:
                raise NotFound(f"there is no backend {name!r}", hint="`pai status` lists them")
        held = active(plane, name)
        if held is None:
            raise Conflict(
                f"backend {name} has no rollout under way",
                hint="`pai status` shows where it stands",
            )
        plane.rollouts[name] = replace(
            held, command=Command(word), asked_by=asker.actor, asked_why=asker.reason
        )
        made = advance(plane, name)
        state = made.state if made is not None else held.state
    return Commanded(
        backend=name,
        candidate=state.candidate,
        phase=state.phase.value,
        weight=state.weight,
        reason=made.reason if made is not None else state.reason,
    )
