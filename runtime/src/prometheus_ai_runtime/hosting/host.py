"""All models of one server: loading, finding, health."""

import asyncio
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Any

from prometheus_ai_runtime.config import ModelConfig, ServerConfig
from prometheus_ai_runtime.errors import NotFound, Unavailable
from prometheus_ai_runtime.hosting.loading import Loaded, load_model
from prometheus_ai_runtime.hosting.model import HostedModel
from prometheus_ai_runtime.log import log
from prometheus_ai_runtime.watch.cgroup import Throttling, compute_threads

_PHASE_NAMES = {"importing": "import", "loading": "load", "warming": "warm_up"}


class ModelHost:
    """The models of this server, by name and version; lives on the event loop.

    Loading runs on one thread of its own, one model after the other.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.threads = config.threads or compute_threads()
        self.throttling = Throttling()
        self.models: dict[str, dict[str, HostedModel]] = {}
        self.draining = False
        self.phase = "starting"
        self.error: str | None = None
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[tuple[HostedModel, asyncio.Future[None]]] = SimpleQueue()
        self._loader: Thread | None = None

    def __iter__(self) -> Iterator[HostedModel]:
        return (m for versions in self.models.values() for m in versions.values())

    def add(self, config: ModelConfig) -> "asyncio.Future[None]":
        """Host a model and load it; the future carries the error when that fails."""
        model = HostedModel(config, self.throttling, self.config.limits.non_finite)
        self.models.setdefault(config.name, {})[config.version] = model
        done: asyncio.Future[None] = self._loop.create_future()
        if self._loader is None:
            self._loader = Thread(target=self._load_all, name="loader", daemon=True)
            self._loader.start()
        self._jobs.put((model, done))
        return done

    def find(self, name: str, version: str = "") -> HostedModel:
        """The model of that name; without a version the one added last. Raises NotFound."""
        versions = self.models.get(name)
        if versions is None:
            known = ", ".join(self.models) or "none"
            raise NotFound(f"unknown model `{name[:80]}`; this server has: {known}")
        if not version:
            return next(reversed(versions.values()))
        model = versions.get(version)
        if model is None:
            known = ", ".join(versions)
            raise NotFound(f"model `{name}` has no version `{version[:80]}`; it has: {known}")
        return model

    def serving(self, name: str, version: str = "") -> HostedModel:
        """The model when it takes requests; raises NotFound or Unavailable."""
        model = self.find(name, version)
        if model.state != "ready":
            model.stats.rejected += 1
            raise Unavailable(
                f"model `{model.config.label}` is not ready: {model.reason}", retry_after_s=1
            )
        return model

    def is_ready(self) -> bool:
        """Every model is loaded, warmed up and checked, and the server is not draining."""
        return not self.draining and self.error is None and all(m.ready for m in self)

    def progress_age_s(self, now: float) -> float:
        """For how long the slowest running engine call has shown no progress."""
        began = [m.batcher.busy_since for m in self if m.batcher.busy_since is not None]
        return max(0.0, now - min(began)) if began else 0.0

    def is_live(self, now: float) -> bool:
        """Whether no engine is wedged beyond the declared bound."""
        return self.progress_age_s(now) <= self.config.timeouts.progress_s

    def state(self) -> dict[str, Any]:
        """The wire page's ``/v2/health/state``."""
        now = perf_counter()
        phases_s: dict[str, float] = {}
        for model in self:
            for name, seconds in model.phases_s.items():
                phases_s[name] = round(phases_s.get(name, 0.0) + seconds, 6)
        return {
            "phase": "draining" if self.draining else self.phase,
            "live": self.is_live(now),
            "ready": self.is_ready(),
            "phases_s": phases_s,
            "progress_age_s": round(self.progress_age_s(now), 3),
            "requests_active": sum(m.batcher.active() for m in self),
            "rows_queued": sum(m.batcher.lineup.rows for m in self),
            "error": self.error,
            "models": [
                {"name": m.config.name, "version": m.config.version, "state": m.state} for m in self
            ],
        }

    def tick(self, now: float) -> None:
        """Fail work past its deadline."""
        for model in self:
            model.batcher.expire(now)

    def close(self) -> None:
        """Stop every queue."""
        for model in self:
            model.close("unloaded", "the server stops")
        self.throttling.close()

    def _load_all(self) -> None:
        """The loader thread."""
        while True:
            model, done = self._jobs.get()

            def progress(phase: str, spent_s: float, model: HostedModel = model) -> None:
                self._post(self._entered, model, phase, spent_s)

            try:
                loaded = load_model(model.config, self.threads, progress)
            except Exception as error:  # noqa: BLE001 - the future carries it
                self._post(self._not_loaded, model, done, error)
            else:
                self._post(self._loaded, model, done, loaded)

    def _post(self, function: Any, *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            # The loop is gone: the server has stopped and nobody waits for the model.
            return

    def _entered(self, model: HostedModel, phase: str, spent_s: float) -> None:
        phases = list(_PHASE_NAMES)
        if phase in phases[1:] or phase == "ready":
            ended = phases[phases.index(phase) - 1] if phase in phases else phases[-1]
            model.phases_s[_PHASE_NAMES[ended]] = spent_s
        if phase != "ready":
            self.phase = phase

    def _loaded(self, model: HostedModel, done: "asyncio.Future[None]", loaded: Loaded) -> None:
        model.open(loaded)
        if all(m.ready for m in self):
            self.phase = "ready"
        log(
            "model_loaded",
            model=model.config.name,
            version=model.config.version,
            engine=loaded.engine,
            phases_s={k: round(v, 6) for k, v in model.phases_s.items()},
        )
        if loaded.warning is not None:
            log("warm_up_skipped", "warning", model=model.config.name, reason=loaded.warning)
        if not done.done():
            done.set_result(None)

    def _not_loaded(
        self, model: HostedModel, done: "asyncio.Future[None]", error: Exception
    ) -> None:
        model.close("failed", str(error))
        log("model_failed", "error", model=model.config.name, error=str(error))
        if not done.done():
            done.set_exception(error)
