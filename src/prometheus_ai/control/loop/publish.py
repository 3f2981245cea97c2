"""Telling the gateway: routes that may be in force become a table, and its answer becomes state."""

from dataclasses import replace

from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.loop.look import Specs
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollout_memory import mirror_of
from prometheus_ai.domain.errors import PlatformError
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.release import Backend
from prometheus_ai.domain.route import WEIGHT_SUM, BackendRoute, Receipt, RouteTable, Weights
from prometheus_ai.ports.state_store import Writing
from prometheus_ai.reconcile import BackendView, backend_route, weights_to_serve

ACTOR = "control-plane"
GENERATIONS_AT_ONCE = 32
"""Generations reserved by one write; those that a crash leaves unused are skipped."""
OFFER_AGAIN_S = 5.0
"""A rejected table is offered again this often: the reason may have been a machine short of something."""


def settle(plane: Plane, found: list[tuple[BackendView, Specs]], *, is_everything: bool) -> None:
    """Publish the routes of these backends when they changed, and record what came into force."""
    routing = plane.routing
    routes = {} if is_everything else dict(routing.routes)
    moved: list[tuple[BackendView, Weights]] = []
    for view, specs in found:
        weights = weights_to_serve(view)
        route = backend_route(view, specs, weights)
        if route is not None:
            route = replace(route, mirror=mirror_of(plane.rollouts, view.backend.name))
        routes.pop(view.backend.name, None)
        if route is not None:
            routes[view.backend.name] = route
        if weights != view.backend.in_force:
            moved.append((view, weights))
    if routes == routing.routes and not routing.is_dirty and not moved:
        return
    if routes == routing.rejected and plane.clock.monotonic() < routing.offer_again_at:
        return
    if not is_everything and not routing.routes and routing.receipt is None:
        # This process has not seen all backends yet: a partial table would drop the others.
        plane.wake.set()
        return
    receipt = _publish(plane, routes)
    if receipt is not None and receipt.accepted:
        _record_moves(plane, moved, receipt)


def flip(plane: Plane, name: str, weights: Weights) -> float | None:
    """Put other weights of one backend in force without wanting them; return the seconds until they were.

    None when the gateway has not confirmed what it was given before, or does not take this.
    """
    routing = plane.routing
    route = routing.routes.get(name)
    if route is None or routing.is_dirty or routing.rejected is not None:
        return None
    started = plane.clock.monotonic()
    receipt = _publish(plane, {**routing.routes, name: replace(route, weights=weights)})
    took_s = plane.clock.monotonic() - started
    return took_s if receipt is not None and receipt.accepted else None


def _publish(plane: Plane, routes: dict[str, BackendRoute]) -> Receipt | None:
    routing = plane.routing
    generation = _next_generation(plane)
    ordered = tuple(routes[name] for name in sorted(routes))
    routing.routes = routes
    routing.is_dirty = True
    try:
        receipt = plane.routes.publish(RouteTable(generation=generation, backends=ordered))
    except PlatformError as error:
        routing.last_error = error.message
        return None
    if not receipt.accepted:
        _record_rejection(plane, receipt, generation)
        routing.rejected = routes
        routing.offer_again_at = plane.clock.monotonic() + OFFER_AGAIN_S
        return receipt
    routing.receipt = receipt
    routing.rejected = None
    routing.is_dirty = False
    routing.last_error = ""
    routing.active = frozenset(
        replica.id
        for route in ordered
        for release in route.releases
        for replica in release.replicas
        if not replica.is_draining
    )
    return receipt


def _next_generation(plane: Plane) -> int:
    routing = plane.routing
    if routing.generation >= routing.generations_reserved:
        with plane.store.write() as tx:
            first = tx.next_table_generation()
            for _ in range(GENERATIONS_AT_ONCE - 1):
                routing.generations_reserved = tx.next_table_generation()
        routing.generation = first
    else:
        routing.generation += 1
    return routing.generation


def _record_rejection(plane: Plane, receipt: Receipt, generation: int) -> None:
    with plane.store.write() as tx:
        # A store restored from a backup counts from an old generation, which the gateway ignores.
        while generation < receipt.generation:
            generation = plane.routing.generations_reserved = tx.next_table_generation()
            plane.routing.generation = generation
        if plane.routing.last_error == receipt.detail:
            return
        plane.routing.last_error = receipt.detail
        note(
            plane,
            tx,
            Kind.ROUTE_REJECTED,
            Change(
                actor=ACTOR,
                reason=f"the gateway rejected the table and keeps its last good one: {receipt.detail}",
                after={"generation": receipt.generation},
            ),
        )


def _record_moves(plane: Plane, moved: list[tuple[BackendView, Weights]], receipt: Receipt) -> None:
    for view, weights in moved:
        with plane.store.write() as tx:
            backend = tx.put_backend(_in_force(view.backend, weights))
            note(
                plane,
                tx,
                Kind.ROUTE_CHANGED,
                Change(
                    actor=ACTOR,
                    reason="the gateway confirmed the new weights",
                    about=(backend.name, None),
                    before={"weights": dict(view.backend.in_force)},
                    after={
                        "weights": dict(weights),
                        "generation": receipt.generation,
                        "took_ms": round(receipt.took_s * 1000, 3),
                    },
                ),
            )
        plane.wake.set()


def _in_force(backend: Backend, weights: Weights) -> Backend:
    """Put weights in force; a release that took all traffic is the new stable one."""
    whole = next((version for version, weight in weights if weight == WEIGHT_SUM), None)
    if whole is None or whole == backend.stable:
        return replace(backend, in_force=weights)
    return replace(backend, in_force=weights, stable=whole, previous=backend.stable)


def in_words(weights: Weights) -> str:
    """Return weights as people write them: ``v1=90 v2=10``."""
    return " ".join(f"{version}={weight / 100:g}" for version, weight in weights) or "nothing"


def clear_wanted(tx: Writing, backend: Backend) -> Backend:
    """Withdraw all traffic from a backend that is going away."""
    return tx.put_backend(replace(backend, wanted=(), is_deleting=True))
