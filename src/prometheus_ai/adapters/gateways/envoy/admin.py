"""Envoy's administration socket: what it serves, what it refused, and what it counted."""

import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prometheus_ai.adapters.gateways.envoy.unix_http import exchange, listening_pid
from prometheus_ai.domain.errors import Unavailable

TIMEOUT_S = 5.0
"""Envoy's main thread answers; it is busy for seconds only while it takes a very large table."""

_SUBSCRIPTIONS = {
    "cds.json": "cluster_manager.cds",
    "lds.json": "listener_manager.lds",
    "rds.json": "http.gateway.rds.routes",
}
_VERSION_FILTER = (
    r"^(cluster_manager\.cds|listener_manager\.lds|http\.gateway\.rds\.routes)"
    r"\.(version_text|update_rejected|update_failure|update_success)$"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscription:
    """How Envoy stands with one of its files."""

    version: str = ""
    succeeded: int = 0
    failed: int = 0
    """Versions that were rejected, and files that could not be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerInfo:
    """Which Envoy answers."""

    pid: int
    node_id: str
    is_live: bool


class EnvoyAdmin:
    """Asks one Envoy through its unix socket."""

    def __init__(self, socket_path: Path) -> None:
        self._socket = socket_path

    def server_info(self) -> ServerInfo | None:
        """Return which Envoy answers, or None when none does."""
        pid = listening_pid(self._socket, TIMEOUT_S)
        if pid is None:
            return None
        try:
            found = json.loads(self._get("/server_info"))
        except Unavailable:
            return None
        return ServerInfo(pid=pid, node_id=found["node"]["id"], is_live=found["state"] == "LIVE")

    def subscriptions(self) -> dict[str, Subscription]:
        """Return how Envoy stands with each file, by file name.

        Raises:
            Unavailable: Envoy does not answer.
        """
        found = json.loads(self._get(f"/stats?format=json&filter={quote(_VERSION_FILTER)}"))
        values = {entry["name"]: entry["value"] for entry in found["stats"] if "name" in entry}
        return {
            file: Subscription(
                version=values.get(f"{prefix}.version_text", ""),
                succeeded=values.get(f"{prefix}.update_success", 0),
                failed=values.get(f"{prefix}.update_rejected", 0)
                + values.get(f"{prefix}.update_failure", 0),
            )
            for file, prefix in _SUBSCRIPTIONS.items()
        }

    def listeners_active(self) -> int:
        """Return how many listeners accept connections.

        Raises:
            Unavailable: Envoy does not answer.
        """
        return self._number("listener_manager.total_listeners_active")

    def requests_active(self) -> int:
        """Return how many requests are under way at the listener.

        Raises:
            Unavailable: Envoy does not answer.
        """
        return self._number("http.gateway.downstream_rq_active")

    def merge_histograms(self) -> None:
        """Make Envoy's workers hand in what they measured; it is there some milliseconds later.

        Raises:
            Unavailable: Envoy does not answer.
        """
        self._get("/stats?filter=^server.live$")

    def cluster_stats(self) -> dict[str, Any]:
        """Return counters, gauges and detailed histograms of every cluster that carried traffic.

        Raises:
            Unavailable: Envoy does not answer.
        """
        query = f"format=json&histogram_buckets=detailed&usedonly&filter={quote('^cluster[.]')}"
        found: dict[str, Any] = json.loads(self._get(f"/stats?{query}"))
        return found

    def drain(self) -> None:
        """Take no new connections, and close each old one after its next answer.

        Raises:
            Unavailable: Envoy does not answer.
        """
        self._request("POST", "/healthcheck/fail")
        self._request("POST", "/drain_listeners")

    def _number(self, name: str) -> int:
        found = json.loads(self._get(f"/stats?format=json&filter={quote(f'^{name}$')}"))
        return int(found["stats"][0].get("value", 0)) if found["stats"] else 0

    def _get(self, target: str) -> bytes:
        return self._request("GET", target)

    def _request(self, method: str, target: str) -> bytes:
        try:
            status, body = exchange(self._socket, method, target, timeout_s=TIMEOUT_S)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"Envoy does not answer on {self._socket}: {error}") from error
        if status != http.client.OK:
            text = body.decode(errors="replace").strip()
            raise Unavailable(f"Envoy answered {status} to {target}: {text}")
        return body
