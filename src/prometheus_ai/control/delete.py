"""Delete: traffic ends first, then replicas drain, then the backend is gone; its events stay."""

from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.loop.passes import act_on
from prometheus_ai.control.loop.publish import clear_wanted
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.event import Kind


def delete(plane: Plane, name: str, asker: Asker) -> None:
    """Begin to delete a backend; the loop finishes once its last replica ended.

    Raises:
        NotFound: there is no such backend.
    """
    with plane.lock:
        with plane.store.write() as tx:
            backend = tx.backend(name)
            if backend is None:
                raise NotFound(f"there is no backend {name!r}", hint="`pai status` lists them")
            if not backend.is_deleting:
                clear_wanted(tx, backend)
                note(
                    plane,
                    tx,
                    Kind.ROUTE_WANTED,
                    Change(
                        actor=asker.actor,
                        reason=asker.reason or "delete",
                        about=(name, None),
                        before={"weights": dict(backend.wanted)},
                        after={"weights": {}},
                    ),
                )
        act_on(plane, name)
