"""One question to a model server: what came since the last one."""

from base64 import b64decode
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import httpx

from prometheus_ai.domain.answers import (
    Answer,
    Feedback,
    KeptRequest,
    Replayed,
    ReplicaReading,
)
from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.domain.evidence import Moments
from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.window import bucket_upper

TIMEOUT_S = 1.0
_CONTROL = {"x-pai-control": "1"}
_QUANTITIES = {
    "request_seconds": "request_s",
    "queue_seconds": "queue_s",
    "compute_seconds": "compute_s",
    "first_piece_seconds": "ttft_s",
    "piece_gap_seconds": "piece_gap_s",
}
_SHORTEST_GAP_S = 1e-4
"""Pieces closer than this left in one write; they say nothing of speed."""


class HttpReplicaReader:
    """Keeps the promises of ``ReplicaReader`` over kept connections."""

    def __init__(self) -> None:
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
        self._http = httpx.Client(
            timeout=TIMEOUT_S, limits=limits, headers=_CONTROL, trust_env=False
        )

    def read(
        self, endpoint: Endpoint, after: int, *, in_full: bool, share: float
    ) -> ReplicaReading:
        """Return what came after a position; see ``ReplicaReader``."""
        url = _url(endpoint, "/v2/recent")
        asked = {"after": str(after), "full": "1" if in_full else "0", "share": f"{share:.4f}"}
        try:
            answer = self._http.get(url, params=asked)
            answer.raise_for_status()
            return _reading(answer.json())
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(
                f"{url}: no reading: {error!r}",
                hint="a replica of an older release has none; deploy it again",
            ) from error

    def ask(self, endpoint: Endpoint, request: KeptRequest, timeout_s: float) -> Replayed:
        """Send a kept request again; see ``ReplicaReader``."""
        headers = {"content-type": request.content_type, "x-pai-shadow": "1"}
        if request.json_bytes is not None:
            headers["inference-header-content-length"] = str(request.json_bytes)
        began = perf_counter()
        try:
            answer = self._http.post(
                _url(endpoint, request.path), content=request.body, headers=headers,
                timeout=timeout_s,
            )  # fmt: skip
        except httpx.HTTPError:
            return Replayed(status=0, latency_s=perf_counter() - began)
        return Replayed(
            status=answer.status_code, latency_s=perf_counter() - began, body=answer.content
        )

    def close(self) -> None:
        """Release connections."""
        self._http.close()


def _url(endpoint: Endpoint, path: str) -> str:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"http://{host}:{endpoint.port}{path}"


def _reading(document: Mapping[str, Any]) -> ReplicaReading:
    models = document["models"]
    counts = [model["requests"] for model in models]
    failed = sum(count["server_error"] for count in counts)
    return ReplicaReading(
        epoch=str(document["epoch"]),
        position=int(document["position"]),
        dropped=int(document["dropped"]),
        left_out=int(document["left_out"]),
        answers=tuple(_answer(each) for each in document["answers"]),
        feedback=tuple(_feedback(each) for each in document["feedback"]),
        requests=failed + sum(count["ok"] + count["client_error"] for count in counts),
        errors=failed,
        quantities=_quantities([model["histograms"] for model in models]),
        kept=tuple(_kept(each) for each in document.get("requests", ())),
        unkept=int(document.get("requests_left_out", 0)),
    )


def _answer(found: Mapping[str, Any]) -> Answer:
    labels = found.get("labels")
    return Answer(
        request_id=str(found["request_id"]),
        version=str(found["version"]),
        is_shadow=bool(found["shadow"]),
        labels=None if labels is None else tuple(labels),
        outputs=found.get("outputs"),
    )


def _kept(found: Mapping[str, Any]) -> KeptRequest:
    json_bytes = found["json_bytes"]
    return KeptRequest(
        path=str(found["path"]),
        content_type=str(found["content_type"]),
        body=b64decode(found["body"]),
        json_bytes=None if json_bytes is None else int(json_bytes),
    )


def _feedback(found: Mapping[str, Any]) -> Feedback:
    label, score = found.get("label"), found.get("score")
    if label is not None and not isinstance(label, list):
        label = [label]
    return Feedback(
        request_id=str(found["request_id"]),
        label=None if label is None else tuple(label),
        score=None if score is None else float(score),
    )


def _quantities(histograms: list[Mapping[str, Any]]) -> dict[str, Moments]:
    found: dict[str, Moments] = {}
    for each in histograms:
        for name, histogram in each.items():
            quantity = _QUANTITIES.get(name)
            if quantity is None:
                continue
            found[quantity] = found.get(quantity, Moments()).merge(_moments(histogram))
            if quantity == "piece_gap_s":
                speed = found.get("tokens_per_s", Moments())
                found["tokens_per_s"] = speed.merge(_speeds(histogram))
    return found


def _moments(histogram: Mapping[str, Any]) -> Moments:
    """Return exact count and sum; squares come from the middles of buckets, 1.1 % off at most."""
    middles = _middles(histogram)
    return Moments(
        count=int(histogram["count"]),
        total=float(histogram["sum"]),
        squares=sum(count * middle**2 for middle, count in middles),
    )


def _speeds(histogram: Mapping[str, Any]) -> Moments:
    """Return pieces per second, one value for each gap between two pieces."""
    speeds = [(1 / max(middle, _SHORTEST_GAP_S), count) for middle, count in _middles(histogram)]
    return Moments(
        count=sum(count for _, count in speeds),
        total=sum(speed * count for speed, count in speeds),
        squares=sum(speed**2 * count for speed, count in speeds),
    )


def _middles(histogram: Mapping[str, Any]) -> list[tuple[float, int]]:
    return [
        ((bucket_upper(int(index) - 1) + bucket_upper(int(index))) / 2, int(count))
        for index, count in histogram["buckets"].items()
    ]
