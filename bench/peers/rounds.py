"""Rounds: every server in turn, again and again, so that what changes with time touches all alike."""

import contextlib
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bench.peers.load import Condition, Load, Point, Scheduling, measure, plain_load
from bench.peers.roster import OURS, Peer
from bench.peers.running import Running, running

T = TypeVar("T")
BOTH: tuple[Scheduling, ...] = ("real_time", "ordinary")


@dataclass(frozen=True, kw_only=True)
class Course:
    """What is done with each server in each round."""

    model: str
    connections: Sequence[int]
    rounds: int
    seconds: float
    schedulings: Sequence[Scheduling] = BOTH
    rounds_of_leaders: int = 0
    """Further rounds with ours and those who led in any cell: where servers differ by less than the
    machine does from one minute to the next, only many short turns tell them apart."""
    load_for: Callable[[Running, str], Load] = plain_load


@dataclass(kw_only=True)
class Outcome:
    """All points, and each server's largest error."""

    points: list[Point] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)

    def of(self, server: str, connections: int, scheduling: Scheduling) -> list[Point]:
        """Return the points of one cell; only the quiet ones where at least half are."""
        cell = [
            p
            for p in self.points
            if (p.server, p.connections, p.scheduling) == (server, connections, scheduling)
        ]
        quiet = [p for p in cell if p.is_quiet]
        return quiet if len(quiet) * 2 >= len(cell) else cell

    def servers(self) -> list[str]:
        """Return who was measured."""
        return list(dict.fromkeys(p.server for p in self.points))


def run(peers: Sequence[Peer], course: Course) -> Outcome:
    """Take all points: every server runs all the time, and each has its turn in each cell of each round.

    A turn is short and the next server's follows at once, so that what else the machine does meets
    all of them alike.
    """
    outcome = Outcome()
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running(peer)) for peer in peers]
        loads = {}
        for server in servers:
            outcome.errors[server.peer.name] = server.largest_error()
            loads[server.peer.name] = course.load_for(server, course.model)
        chosen = servers
        for number in range(course.rounds + course.rounds_of_leaders):
            if number == course.rounds:
                names = leaders(outcome, course)
                chosen = [server for server in servers if server.peer.name in names]
            for connections in course.connections:
                for scheduling in course.schedulings:
                    condition = Condition(
                        connections=connections, seconds=course.seconds, scheduling=scheduling,
                        round=number,
                    )  # fmt: skip
                    # The order turns from round to round; ours is not always first.
                    for server in rotated(chosen, number):
                        point = measure(server, loads[server.peer.name], condition)
                        outcome.points.append(point)
                        print(_line(point), flush=True)
    return outcome


def leaders(outcome: Outcome, course: Course) -> set[str]:
    """Return ours, and in each cell the peer with most requests and the one with the shortest tail."""
    names = {OURS}
    others = [name for name in outcome.servers() if name != OURS]
    for connections in course.connections if others else ():
        for scheduling in course.schedulings:
            cells = {name: outcome.of(name, connections, scheduling) for name in others}
            for sign, of in ((1, "requests_per_s"), (-1, "p99_ms")):
                names.add(max(others, key=lambda n: sign * _middle(cells[n], of)))
    return names


def _middle(cell: list[Point], of: str) -> float:
    return statistics.median(getattr(point, of) for point in cell)


def rotated(all_of_them: Sequence[T], by: int) -> list[T]:
    """Return all, beginning further on."""
    shift = by % len(all_of_them)
    return [*all_of_them[shift:], *all_of_them[:shift]]


def _line(point: Point) -> str:
    return (
        f"{point.server:14} {point.model} c={point.connections:<3} {point.scheduling:9} "
        f"{point.requests_per_s:9.1f}/s p50 {point.p50_ms:8.3f} p99 {point.p99_ms:8.3f} ms "
        f"bad {point.bad} cores {point.server_cores:.2f}+{point.load_cores:.2f} "
        f"foreign {point.foreign_cores:.2f}"
    )


def table(outcome: Outcome, course: Course) -> list[dict[str, Any]]:
    """Return one row a cell: medians, and how many points were quiet."""
    rows = []
    for server in outcome.servers():
        for connections in course.connections:
            for scheduling in course.schedulings:
                cell = outcome.of(server, connections, scheduling)
                rows.append({
                    "server": server,
                    "connections": connections,
                    "scheduling": scheduling,
                    "requests_per_s": round(statistics.median(p.requests_per_s for p in cell), 1),
                    "p50_ms": round(statistics.median(p.p50_ms for p in cell), 3),
                    "p99_ms": round(statistics.median(p.p99_ms for p in cell), 3),
                    "bad": sum(p.bad for p in cell),
                    "points": len(cell),
                    "quiet": sum(p.is_quiet for p in cell),
                    "foreign_cores": round(statistics.median(p.foreign_cores for p in cell), 2),
                })  # fmt: skip
    return rows


def ratio(
    outcome: Outcome, connections: int, scheduling: Scheduling, others: Iterable[str], of: str
) -> dict[str, Any]:
    """Compare ours with the best of others: the largest throughput, or the smallest latency.

    The ratio is the median over the rounds, each with its own: theirs was measured beside ours.
    """
    ours = _by_round(outcome, OURS, connections, scheduling, of)
    ratios, both_of = {}, {}
    for name in others:
        theirs = _by_round(outcome, name, connections, scheduling, of)
        both = [ours[number] / theirs[number] for number in ours.keys() & theirs.keys()]
        if both:
            ratios[name], both_of[name] = statistics.median(both), both
    if not ratios:
        return {}
    # Whoever was left behind after the first rounds tells less with them than the leaders with all.
    rounds = max(len(both) for both in both_of.values())
    ratios = {name: found for name, found in ratios.items() if len(both_of[name]) == rounds}
    worst = min if of == "requests_per_s" else max
    best = worst(ratios, key=lambda name: ratios[name])
    theirs = _by_round(outcome, best, connections, scheduling, of)
    return {
        "ours": round(statistics.median(ours.values()), 3), "best": best,
        "theirs": round(statistics.median(theirs.values()), 3), "ratio": round(ratios[best], 3),
        "rounds": len(both_of[best]), "middle_half": _middle_half(both_of[best]),
    }  # fmt: skip


def _middle_half(ratios: list[float]) -> list[float]:
    """Between which two the middle half of the rounds lies."""
    if len(ratios) < 2:
        return [round(ratio, 3) for ratio in ratios * 2]
    return [round(x, 3) for x in statistics.quantiles(ratios, n=4, method="inclusive")[::2]]


def _by_round(
    outcome: Outcome, server: str, connections: int, scheduling: Scheduling, of: str
) -> dict[int, float]:
    cell = (server, connections, scheduling)
    return {
        p.round: getattr(p, of)
        for p in outcome.points
        if (p.server, p.connections, p.scheduling) == cell
    }
