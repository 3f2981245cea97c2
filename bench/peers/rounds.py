"""Rounds: every server in turn, again and again, so that what changes with time touches all alike."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.peers.load import Condition, Load, Point, Scheduling, measure, plain_load
from bench.peers.roster import OURS, Peer
from bench.peers.running import Running, running

BOTH: tuple[Scheduling, ...] = ("real_time", "ordinary")


@dataclass(frozen=True, kw_only=True)
class Course:
    """What is done with each server in each round."""

    model: str
    connections: Sequence[int]
    rounds: int
    seconds: float
    schedulings: Sequence[Scheduling] = BOTH
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

    def median(self, server: str, connections: int, scheduling: Scheduling, of: str) -> float:
        """Return the median of one field over one cell; NaN where there is no point."""
        values = [getattr(p, of) for p in self.of(server, connections, scheduling)]
        return statistics.median(values) if values else float("nan")

    def servers(self) -> list[str]:
        """Return who was measured."""
        return list(dict.fromkeys(p.server for p in self.points))


def run(peers: Sequence[Peer], course: Course) -> Outcome:
    """Take all points: each round starts every server anew and checks all its answers first."""
    outcome = Outcome()
    for number in range(course.rounds):
        # The order turns from round to round; ours is not always first.
        for peer in rotated(peers, number):
            with running(peer) as server:
                largest = server.largest_error()
                outcome.errors[peer.name] = max(largest, outcome.errors.get(peer.name, 0.0))
                outcome.points += _points(server, course, number)
    return outcome


def _points(server: Running, course: Course, number: int) -> Iterable[Point]:
    load = course.load_for(server, course.model)
    for connections in course.connections:
        for scheduling in course.schedulings:
            condition = Condition(
                connections=connections, seconds=course.seconds, scheduling=scheduling, round=number
            )
            point = measure(server, load, condition)
            print(_line(point), flush=True)
            yield point


def rotated(peers: Sequence[Peer], by: int) -> list[Peer]:
    """Return the peers, beginning further on."""
    shift = by % len(peers)
    return [*peers[shift:], *peers[:shift]]


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
    """Compare ours with the best of others: the largest throughput, or the smallest latency."""
    better = max if of == "requests_per_s" else min
    known = [name for name in others if outcome.of(name, connections, scheduling)]
    if not known or not outcome.of(OURS, connections, scheduling):
        return {}
    figures = {name: outcome.median(name, connections, scheduling, of) for name in known}
    best = better(figures, key=lambda name: figures[name])
    ours = outcome.median(OURS, connections, scheduling, of)
    return {
        "ours": round(ours, 3), "best": best, "theirs": round(figures[best], 3),
        "ratio": round(ours / figures[best], 3),
    }  # fmt: skip
