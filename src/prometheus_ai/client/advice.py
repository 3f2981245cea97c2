"""Advice: the client's verbs about suggestions, recordings and notices."""

from typing import Any
from urllib.parse import quote

from prometheus_ai.client.records import Record, record
from prometheus_ai.client.wire import Wire


class AdviceCalls:
    """The part of the client about what a backend should be given."""

    _wire: Wire

    def suggest(
        self,
        name: str,
        version: str | None = None,
        *,
        slo_s: float | None = None,
        replica_hour: float | None = None,
        busy_second: float | None = None,
    ) -> Record:
        """Suggest replicas, CPU, memory, batching and sleep for a backend, each with its risk."""
        query = {
            "version": version, "slo_s": slo_s, "replica_hour": replica_hour,
            "busy_second": busy_second,
        }  # fmt: skip
        return record(self._advice(name, "suggest", query))

    def recording(self, name: str, version: str | None = None) -> Record:
        """Return a backend's traffic and its measured replica, as the simulator takes them."""
        return record(self._advice(name, "recording", {"version": version}))

    def give_notice(self, replica: str, within_s: float = 30.0, *, reason: str = "") -> Record:
        """Say that a replica's machine goes away soon: it is replaced, and drained before that."""
        path = f"/api/v1/replicas/{quote(replica, safe='')}/notice"
        body = {"within_s": within_s, "reason": reason}
        return record(self._wire.ask("POST", path, body=body).json())

    def _advice(self, name: str, what: str, query: dict[str, Any]) -> Any:
        path = f"/api/v1/backends/{quote(name, safe='')}/{what}"
        return self._wire.ask("GET", path, query=query).json()
