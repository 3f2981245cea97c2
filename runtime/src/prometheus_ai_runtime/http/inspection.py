"""Health, metadata, profile and metrics over HTTP."""

import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter, time_ns
from typing import Any

import orjson

from prometheus_ai_runtime.hosting.exposition import Series, as_json, as_text, resident_bytes
from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.http.door import Door
from prometheus_ai_runtime.http.exchange import Exchange
from prometheus_ai_runtime.http.router import Router
from prometheus_ai_runtime.people.openapi import document

_TEXT = b"text/plain; version=0.0.4; charset=utf-8"
SERVER_NAME = "pai-runtime"
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


def _json(exchange: Exchange, document: dict[str, Any], status: int = 200) -> None:
    exchange.answer(status, orjson.dumps(document))
