"""Rollouts: the client's verbs about schedules, courses and decisions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prometheus_ai.client.deploying import placing, read_spec_file
from prometheus_ai.client.records import Record, Records, record, records
from prometheus_ai.client.wire import Wire

REPLAY_TIMEOUT_S = 300.0


class RolloutCalls:
    """The part of the client about rollouts."""

    _wire: Wire

    def plan(self, spec: Path | str | Mapping[str, Any]) -> Record:
        """Return the schedule that deploying a spec would follow, or why it would be refused."""
        file = read_spec_file(self._wire, spec)
        with placing(file):
            return record(self._wire.ask("POST", "/api/v1/plans", body={"spec": file.spec}).json())

    def plan_of(self, name: str) -> Record:
        """Return the schedule of the rollout under way, or of deploying the newest spec once more."""
        return record(self._of(name, "plan"))

    def course(self, name: str) -> Record:
        """Return a backend's newest rollout with its evidence, events and traffic over time."""
        return record(self._of(name, "rollout"))

    def series(self, name: str, *, span_s: float = 600, points: int = 60) -> Records:
        """Return what each release did lately, point by point."""
        return records(self._of(name, "series", span_s=span_s, points=points))

    def decisions(self, name: str, *, limit: int = 100) -> Records:
        """Return the newest decisions about a backend, oldest of them first."""
        return records(self._of(name, "decisions", limit=limit))

    def decision(self, name: str, number: int) -> Record:
        """Return one decision with its inputs and its answer."""
        return record(self._of(name, f"decisions/{number}"))

    def replay_decisions(self, name: str, number: int | None = None) -> Records:
        """Make decisions again from what they saw; each says whether the answer is the same."""
        return records(self._of(name, "replays", number=number))

    def _of(self, name: str, what: str, **query: Any) -> Any:
        path = f"/api/v1/backends/{quote(name, safe='')}/{what}"
        return self._wire.ask("GET", path, query=query, timeout_s=REPLAY_TIMEOUT_S).json()
