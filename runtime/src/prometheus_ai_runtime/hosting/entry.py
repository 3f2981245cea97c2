"""How a protocol front hands a request's rows to a model, and what the server asks of a front.

A front decodes a request into a ``Work`` of its own class: ``rows``, ``parts``, ``row_shapes``
(from ``tensors.decode``), ``priority`` (0 first, 5 usual, 9 last) and ``tenant`` set.
It calls ``ModelHost.serving`` to find the model and ``enter`` to queue the work.
``Work.complete`` or ``Work.fail`` is then called once, on the event loop, unless the front calls
``model.batcher.cancel`` because its client went away.
"""

from typing import Protocol

from prometheus_ai_runtime.batching.streaming import Window
from prometheus_ai_runtime.batching.work import Work
from prometheus_ai_runtime.errors import InvalidRequest, RequestError
from prometheus_ai_runtime.hosting.model import HostedModel


class Front(Protocol):
    """A protocol listener beside HTTP."""

    port: int

    async def stop(self, grace_s: float) -> None:
        """Take no more requests, finish those under way, and end within ``grace_s``."""


def enter(
    work: Work,
    model: HostedModel,
    received: float,
    timeout_s: float,
    window: Window | None = None,
) -> None:
    """Queue a request; ``received`` is when its first byte came, in ``perf_counter`` seconds.

    With a window the answer comes piece by piece: ``Work.piece`` for each, then ``complete`` with an
    empty result; every piece is paid back with ``window.leave``. The deadline holds for the first.
    Raises InvalidRequest, Overloaded or Unavailable, and then the work was not taken.
    """
    if model.only_streams and window is None:
        raise InvalidRequest(
            f"model `{model.config.label}` only streams; ask with `accept: text/event-stream`"
        )
    work.arrived = received
    work.deadline = received + timeout_s
    work.settled = False
    work.window = window
    # A stream has the engine for itself.
    plan = model.plan
    if window is not None:
        work.shape_key = ((id(work),),)
    else:
        work.shape_key = plan.grouping(work.row_shapes) if plan.padded else work.row_shapes
    work.cost = 1 if model.cost is None else model.cost(work)
    work.throttled_from_us = model.throttling.total_us
    try:
        model.batcher.submit(work)
    except RequestError:
        # Whoever gives it up later must not take it from a queue that never had it.
        work.settled = True
        raise
