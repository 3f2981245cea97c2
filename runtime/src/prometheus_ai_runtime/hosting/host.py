"""All models of one server: loading, unloading, finding, health."""

import asyncio
import gc
from collections.abc import Iterator
from threading import Thread
from time import perf_counter
from typing import Any

from prometheus_ai_runtime.batching.stats import ModelStats
from prometheus_ai_runtime.config import ModelConfig, ServerConfig
from prometheus_ai_runtime.errors import InvalidRequest, NotFound
from prometheus_ai_runtime.hosting import huge_pages
from prometheus_ai_runtime.hosting.loading import Loaded, LoadFailed, load_model
from prometheus_ai_runtime.hosting.memory import Room, give_back_memory
from prometheus_ai_runtime.hosting.model import HostedModel
from prometheus_ai_runtime.log import log
from prometheus_ai_runtime.watch.cgroup import Throttling, compute_threads
from prometheus_ai_runtime.watch.recent import RecentAnswers
from prometheus_ai_runtime.watch.recorded import RecordedRequests

_LOADS_AT_ONCE = 2
_DRAIN_POLL_S = 0.01
_SETTLED_S = 1.0
_PHASE_NAMES = {"importing": "import", "loading": "load", "warming": "warm_up"}
_PHASES = list(_PHASE_NAMES)


class ModelHost:
    """The models of this server, by name and version; lives on the event loop.

    Each load runs on a thread of its own, two at a time, bounded by ``startup_s``.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.threads = config.threads or compute_threads()
        self.throttling = Throttling()
        self.models: dict[str, dict[str, HostedModel]] = {}
        self.draining = False
        self.phase = "starting"
        self.error: str | None = None
        self.room = Room(config.memory_bytes_max)
        kept = config.recording
        self.recent = RecentAnswers(
            None if kept is None else RecordedRequests(kept.request_bytes_max, kept.redact)
        )
        self._stats: dict[str, ModelStats] = {}
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(1 if self.room.bounded else _LOADS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[HostedModel]:
        return (m for versions in self.models.values() for m in versions.values())

    async def load(self, config: ModelConfig) -> None:
        """Load a model.

        One that already serves under its name and version is replaced when the new one is ready,
        and goes on serving when the new one fails. Raises EngineError or LoadFailed.
        """
        stats = self._stats.setdefault(config.label, ModelStats())
        model = HostedModel(config, self.throttling, self.config.limits.non_finite, stats)
        model.recent = self.recent
        versions = self.models.setdefault(config.name, {})
        before = versions.get(config.version)
        if before is None or not before.ready:
            self.put(model)
            if before is not None and before.state == "returning":
                model.state, model.reason = before.state, before.reason
                model.held, before.held = before.held, []
        try:
            async with self._slots:
                self._make_room(model)
                loaded = await self._load_on_thread(model)
        except (Exception, asyncio.CancelledError) as error:
            self._not_loaded(model, before, error)
            raise
        if model.state not in ("loading", "returning"):
            # Unloaded while it was being loaded.
            await self._loop.run_in_executor(None, loaded.close)
            return
        self._loaded(model, loaded)
        if before is not None and before is not model:
            self.put(model)
            await self._retire(before, "unloaded", "replaced by a newer load")
        self._trim_to_room(model)
        model.release_held()

    def put(self, model: HostedModel) -> None:
        """Let requests find a model, in the place of one with the same name and version."""
        versions = self.models.setdefault(model.config.name, {})
        versions[model.config.version] = model
        for one in versions.values():
            one.is_sole = len(versions) == 1 and not self.room.bounded

    async def unload(self, name: str, version: str = "") -> None:
        """Unload a model, or one version of it, after the requests it has taken are answered."""
        self.find(name, version)
        for model in list(self.models[name].values()):
            if version in ("", model.config.version) and model.state != "unloaded":
                await self._retire(model, "unloaded", "unloaded on request")

    def own(self, task: "asyncio.Task[None]") -> None:
        """Keep a task of the host's until it ends."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def find(self, name: str, version: str = "") -> HostedModel:
        """The model of that name; without a version the one added last. Raises NotFound."""
        versions = self.models.get(name)
        if versions is None:
            known = ", ".join(self.models) or "none"
            raise NotFound(f"unknown model `{name[:80]}`; this server has: {known}")
        if not version:
            ready = [m for m in versions.values() if m.ready]
            return ready[-1] if ready else next(reversed(versions.values()))
        model = versions.get(version)
        if model is None:
            known = ", ".join(versions)
            raise NotFound(f"model `{name}` has no version `{version[:80]}`; it has: {known}")
        return model

    def serving(self, name: str, version: str = "") -> HostedModel:
        """The model when it takes requests.

        Raises NotFound, Standby when it is being brought back, or Unavailable.
        """
        versions = self.models.get(name)
        if versions is not None and len(versions) == 1 and not version:
            # The common case needs no search.
            (model,) = versions.values()
        else:
            model = self.find(name, version)
        if model.state == "ready":
            if self.room.bounded:
                model.last_used = perf_counter()
            return model
        if model.state == "evicted":
            self.own(self._loop.create_task(self._bring_back(model)))
            model.state, model.reason = "returning", "it is being brought back to memory"
        model.refuse()
        raise AssertionError("refuse always raises")

    def is_ready(self) -> bool:
        """Every configured model was loaded, warmed up and checked and none is lost; not draining.

        What clients load later, or fail to, takes the server from nobody else.
        """
        if self.draining or self.phase != "ready":
            return False
        configured = {(m.name, m.version) for m in self.config.models}
        return not any(
            m.state == "failed" and (m.config.name, m.config.version) in configured for m in self
        )

    def progress_age_s(self, now: float) -> float:
        """For how long the slowest running engine call has shown no progress."""
        return max((m.progress_age_s(now) for m in self), default=0.0)

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
                {
                    "name": m.config.name,
                    "version": m.config.version,
                    "state": m.state,
                    "reason": m.reason,
                    "memory_bytes": m.memory_bytes,
                }
                for m in self
            ],
        }

    def tick(self, now: float) -> None:
        """Fail work past its deadline; end engines that can be ended and show no progress."""
        timeouts = self.config.timeouts
        for model in self:
            model.batcher.expire(now)
            if model.is_overdue(now, timeouts) and model.kill_engine():
                log("engine_killed", "error", model=model.config.label)

    def close(self) -> None:
        """Stop every queue and close every model."""
        for task in self._tasks:
            task.cancel()
        for model in self:
            loaded = model.close("unloaded", "the server stops")
            if loaded is not None and loaded.life is not None:
                loaded.life.kill()
        self.throttling.close()

    async def _load_on_thread(self, model: HostedModel) -> Loaded:
        future: asyncio.Future[Loaded] = self._loop.create_future()

        def settle(loaded: Loaded | None, error: Exception | None) -> None:
            if future.cancelled():
                if loaded is not None:
                    loaded.close()
            elif error is not None:
                future.set_exception(error)
            elif loaded is not None:
                future.set_result(loaded)

        def progress(phase: str, spent_s: float) -> None:
            self._post(self._entered, model, phase, spent_s)

        def load() -> None:
            try:
                loaded = load_model(model.config, self.threads, progress)
            except Exception as error:  # noqa: BLE001 - the future carries it
                self._post(settle, None, error)
            else:
                self._post(settle, loaded, None)

        Thread(target=load, name=f"load-{model.config.label}", daemon=True).start()
        startup_s = self.config.timeouts.startup_s
        try:
            return await asyncio.wait_for(future, startup_s)
        except TimeoutError:
            raise LoadFailed(
                f"model {model.config.label} was not loaded within startup_s = {startup_s:g} s; "
                "raise timeouts.startup_s or look at what the model does when it is loaded"
            ) from None

    def _post(self, function: Any, *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            # The loop is gone: the server has stopped and nobody waits for the model.
            return

    def _entered(self, model: HostedModel, phase: str, spent_s: float) -> None:
        if phase != "importing":
            ended = _PHASES[-1] if phase == "ready" else _PHASES[_PHASES.index(phase) - 1]
            model.phases_s[_PHASE_NAMES[ended]] = spent_s
        if phase != "ready" and self.phase != "ready":
            self.phase = phase

    def _loaded(self, model: HostedModel, loaded: Loaded) -> None:
        model.open(loaded)
        # Libraries bring hundreds of thousands of objects that never die; looking at them again
        # and again would show as pauses in the slowest percent of requests.
        gc.freeze()
        # The first requests need the processor more.
        self._loop.call_later(_SETTLED_S, huge_pages.begin)
        log(
            "model_loaded",
            model=model.config.name,
            version=model.config.version,
            engine=loaded.engine,
            memory_bytes=model.memory_bytes,
            phases_s={k: round(v, 6) for k, v in model.phases_s.items()},
        )
        for warning in loaded.warnings:
            log("model_warning", "warning", model=model.config.label, warning=warning)

    def _not_loaded(
        self, model: HostedModel, before: HostedModel | None, error: BaseException
    ) -> None:
        reason = str(error) or "cancelled"
        model.close("failed", reason)
        if before is None or not before.ready:
            model.release_held()
        log("model_failed", "error", model=model.config.label, error=reason)

    async def _retire(self, model: HostedModel, state: str, reason: str) -> None:
        """Refuse new work, answer what was taken, then free the model's memory."""
        model.state, model.reason = state, reason
        end = self._loop.time() + self.config.timeouts.drain_s
        # The queue has no event for its end; unloading is rare and may poll.
        while model.batcher.active() and self._loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_POLL_S)
        loaded = model.close(state, reason)
        if loaded is not None:
            await self._loop.run_in_executor(None, loaded.close)
            await self._loop.run_in_executor(None, give_back_memory)
        log("model_unloaded", model=model.config.label, reason=reason)

    def _make_room(self, model: HostedModel) -> None:
        """Evict before loading, by the declared size; raises LoadFailed when it cannot fit."""
        needed = model.config.memory_bytes or 0
        victims = self.room.victims(needed, [m for m in self if m is not model])
        if victims is None:
            raise LoadFailed(
                f"model {model.config.label} declares {needed} bytes of memory; "
                f"with the pinned models that is more than memory_bytes_max = {self.room.bytes_max}"
            )
        self._evict(victims)

    def _trim_to_room(self, model: HostedModel) -> None:
        """Evict after loading, by the measured size; the model just loaded stays."""
        victims = self.room.victims(model.memory_bytes, [m for m in self if m is not model])
        if victims is None:
            log("memory_exceeded", "warning", model=model.config.label, bytes=model.memory_bytes)
            victims = [m for m in self if m is not model and self.room.evictable(m)]
        self._evict(victims)

    def _evict(self, victims: list[HostedModel]) -> None:
        for victim in victims:
            reason = "evicted to make room; the next request brings it back"
            victim.state, victim.reason = "evicted", reason
            self.own(self._loop.create_task(self._retire(victim, "evicted", reason)))

    async def _bring_back(self, model: HostedModel) -> None:
        try:
            await self.load(model.config)
        except Exception as error:  # noqa: BLE001 - logged; held requests are told
            log("model_not_back", "error", model=model.config.label, error=str(error))

    def configured(self, name: str) -> list[ModelConfig]:
        """The configurations known under a name; raises InvalidRequest for an unknown one."""
        versions = self.models.get(name)
        if not versions:
            known = ", ".join(self.models) or "none"
            raise InvalidRequest(f"unknown model `{name[:80]}`; this server has: {known}")
        return [m.config for m in versions.values()]
