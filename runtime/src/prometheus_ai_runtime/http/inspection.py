"""Health, metadata, profile and metrics over HTTP; recent answers and feedback."""

import os
from base64 import b64encode
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter, time_ns
from typing import Any

import orjson

from prometheus_ai_runtime.errors import InvalidRequest, NotFound
from prometheus_ai_runtime.hosting.exposition import Series, as_json, as_text, resident_bytes
from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.http.door import Door
from prometheus_ai_runtime.http.exchange import Exchange
from prometheus_ai_runtime.http.router import Router
from prometheus_ai_runtime.people.labels import labels_of, outputs_of
from prometheus_ai_runtime.people.openapi import document
from prometheus_ai_runtime.watch.recent import Answer
from prometheus_ai_runtime.watch.recorded import Recorded

_TEXT = b"text/plain; version=0.0.4; charset=utf-8"
SERVER_NAME = "pai-runtime"
CONTROL_HEADER = b"x-pai-control"
"""Requests of the control plane carry it; the gateway takes it from everybody else's."""
ITEMS_MAX = 1000
_TEXT_MAX = 256
EXTENSIONS = ["binary_tensor_data", "model_repository", "schedule_policy", "statistics"]


def server_version() -> str:
    """The installed version of this distribution."""
    try:
        return version("prometheus-ai-runtime")
    except PackageNotFoundError:
        return "0"


class Inspection:
    """Everything that tells about the server and its models, and changes nothing."""

    def __init__(self, host: ModelHost, door: Door | None = None) -> None:
        self._host = host
        self.door = door
        self.epoch = f"{os.getpid()}:{time_ns()}"

    def add_routes(self, router: Router) -> None:
        """Put this object's endpoints on the router."""
        router.fixed("/v2", get=self.server)
        router.fixed("/v2/health/live", get=self.live)
        router.fixed("/v2/health/ready", get=self.ready)
        router.fixed("/v2/health/state", get=self.state)
        router.fixed("/openapi.json", get=self.openapi)
        router.fixed("/metrics", get=self.metrics)
        router.fixed("/metrics.json", get=self.metrics_json)
        router.model("", get=self.model)
        router.model("/ready", get=self.model_ready)
        router.model("/profile", get=self.profile)
        router.model("/config", get=self.config)
        router.model("/stats", get=self.statistics)
        router.fixed("/v2/models/stats", get=self.all_statistics)

    def server(self, exchange: Exchange) -> None:
        """Server metadata."""
        _json(
            exchange,
            {"name": SERVER_NAME, "version": server_version(), "extensions": EXTENSIONS},
        )

    def live(self, exchange: Exchange) -> None:
        """Liveness from progress."""
        live = self._host.is_live(perf_counter())
        _json(exchange, {"live": live}, 200 if live else 503)

    def ready(self, exchange: Exchange) -> None:
        """Readiness of all models."""
        ready = self._host.is_ready()
        _json(exchange, {"ready": ready}, 200 if ready else 503)

    def state(self, exchange: Exchange) -> None:
        """The phase, timings and queue, always 200."""
        _json(exchange, self._host.state())

    def model(self, exchange: Exchange) -> None:
        """Model metadata."""
        head = exchange.head
        model = self._host.find(head.model, head.version)
        _json(exchange, model.metadata(list(self._host.models[head.model])))

    def model_ready(self, exchange: Exchange) -> None:
        """Readiness of one model."""
        head = exchange.head
        model = self._host.find(head.model, head.version)
        ready = model.ready and not self._host.draining
        _json(exchange, {"name": head.model, "ready": ready}, 200 if ready else 503)

    def profile(self, exchange: Exchange) -> None:
        """The learned latency curve of one model."""
        head = exchange.head
        _json(exchange, self._host.find(head.model, head.version).profile())

    def config(self, exchange: Exchange) -> None:
        """The part of Triton's model configuration that means something here."""
        head = exchange.head
        _json(exchange, self._host.find(head.model, head.version).triton_config())

    def statistics(self, exchange: Exchange) -> None:
        """The statistics extension, for one model."""
        head = exchange.head
        model = self._host.find(head.model, head.version)
        _json(exchange, {"model_stats": [model.statistics()]})

    def all_statistics(self, exchange: Exchange) -> None:
        """The statistics extension, for every model."""
        _json(exchange, {"model_stats": [m.statistics() for m in self._host]})

    def openapi(self, exchange: Exchange) -> None:
        """OpenAPI from the signatures of the models that are ready."""
        plans = {m.config.name: m.plan for m in self._host if m.ready}
        _json(exchange, document(plans, server_version()))

    def metrics(self, exchange: Exchange) -> None:
        """Prometheus text."""
        gauges = {
            "pai_resident_bytes": float(resident_bytes()),
            "pai_throttled_seconds": self._host.throttling.refresh(perf_counter()) / 1e6,
            "pai_progress_age_seconds": self._host.progress_age_s(perf_counter()),
        }
        if self.door is not None:
            gauges["pai_connections"] = float(self.door.connections())
            gauges["pai_refused_requests"] = float(sum(self.door.refusals.values()))
        exchange.answer(200, as_text(self.series(), gauges), _TEXT)

    def metrics_json(self, exchange: Exchange) -> None:
        """Exact histograms."""
        _json(exchange, as_json(self.epoch, self.series()))

    def series(self) -> Iterator[Series]:
        """Every model's numbers now."""
        for model in self._host:
            series = Series(model.config.name, model.config.version, model.stats)
            series.active = model.batcher.active()
            series.rows_queued = model.batcher.lineup.rows
            series.ready = model.ready
            fixed, per_row = model.batcher.curve.line()
            series.fixed_s, series.per_row_s = fixed, per_row
            yield series


class Recent:
    """What was answered lately, and what people say about it."""

    def __init__(self, host: ModelHost, inspection: Inspection) -> None:
        self._host = host
        self._inspection = inspection

    def add_routes(self, router: Router) -> None:
        """Put this object's endpoints on the router."""
        router.fixed("/v2/recent", get=self.recent)
        router.fixed("/feedback", post=self.feedback)
        router.named("/feedback", post=self.feedback)
        router.model("/feedback", post=self.feedback)

    def recent(self, exchange: Exchange) -> None:
        """Answers, feedback and counters since the number in ``after``; with ``full=1`` whole answers.

        ``share`` of answers is kept from now on, from 0 to 1.
        """
        if CONTROL_HEADER not in exchange.head.headers:
            raise NotFound(f"no such path: {exchange.head.path}")
        asked = dict(pair.partition("=")[::2] for pair in exchange.head.query.split("&"))
        after, share = asked.get("after", "0"), _share(asked.get("share", "1"))
        if not after.isdigit():
            raise InvalidRequest("`after` must be a whole number")
        position, answers, feedback = self._host.recent.fetch(int(after), share)
        full = asked.get("full") == "1"
        document = as_json(self._inspection.epoch, self._inspection.series())
        document |= {
            "position": position,
            "dropped": self._host.recent.dropped,
            "left_out": self._host.recent.left_out,
            "answers": [_answer(answer, full=full) for answer in answers],
            "feedback": [{**said.values, "request_id": said.request_id} for said in feedback],
        }
        kept = self._host.recent.requests
        if kept is not None:
            document["requests"] = [_request(each) for each in kept.take()]
            document["requests_left_out"] = kept.left_out
        exchange.answer(200, orjson.dumps(document))

    def feedback(self, exchange: Exchange) -> None:
        """Take labels or scores of answers, by request id; 202, as they count once they are fetched."""
        try:
            body = orjson.loads(exchange.body)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"the body is not JSON: {error}") from None
        items = body if isinstance(body, list) else [body]
        if not 0 < len(items) <= ITEMS_MAX:
            raise InvalidRequest(f"send 1 to {ITEMS_MAX} items, not {len(items)}")
        checked = [_checked(item, f"[{place}]") for place, item in enumerate(items)]
        for request_id, values in checked:
            self._host.recent.add_feedback(request_id, values)
        exchange.answer(202, orjson.dumps({"taken": len(items)}))


def _json(exchange: Exchange, document: dict[str, Any], status: int = 200) -> None:
    exchange.answer(status, orjson.dumps(document))


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise InvalidRequest("`share` must be a number from 0 to 1")
    return share


def _request(kept: Recorded) -> dict[str, Any]:
    return {
        "path": kept.path,
        "content_type": kept.content_type,
        "json_bytes": kept.json_bytes,
        "body": b64encode(kept.body).decode(),
    }


def _answer(answer: Answer, *, full: bool) -> dict[str, Any]:
    name, _, version = answer.label.partition("/")
    found: dict[str, Any] = {
        "request_id": answer.request_id.decode("ascii", "replace"),
        "model": name,
        "version": version,
        "shadow": answer.is_shadow,
    }
    if answer.body is not None:
        document = orjson.loads(answer.body)
        found["labels"] = labels_of(document)
        if full:
            found["outputs"] = outputs_of(document)
    return found


def _checked(item: Any, where: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(item, dict):
        raise InvalidRequest(f"{where} must be an object with request_id, and label or score")
    unknown = set(item) - {"request_id", "label", "score"}
    if unknown:
        raise InvalidRequest(f"{where}: unknown field `{min(unknown)}`")
    request_id, label, score = item.get("request_id"), item.get("label"), item.get("score")
    if not isinstance(request_id, str) or not 0 < len(request_id) <= _TEXT_MAX:
        raise InvalidRequest(f"{where}.request_id must be the x-request-id of an answer")
    if (label is None) == (score is None):
        raise InvalidRequest(f"{where} needs either label or score")
    if score is not None and (type(score) not in (int, float) or not 0 <= score <= 1):
        raise InvalidRequest(f"{where}.score must be a number from 0 (wrong) to 1 (right)")
    if label is not None and not _is_label(label):
        raise InvalidRequest(f"{where}.label must be a text or a number, or a list of them")
    return request_id, {"score": score} if label is None else {"label": label}


def _is_label(label: Any) -> bool:
    values = label if isinstance(label, list) else [label]
    return 0 < len(values) <= ITEMS_MAX and all(
        isinstance(v, int | float) or (isinstance(v, str) and len(v) <= _TEXT_MAX) for v in values
    )
