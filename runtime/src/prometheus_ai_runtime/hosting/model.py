"""One hosted model: its configuration, queue, statistics and state."""

import math
from collections.abc import Callable
from typing import Any, NoReturn

from prometheus_ai_runtime.batching.batcher import Batcher
from prometheus_ai_runtime.batching.costs import COSTS
from prometheus_ai_runtime.batching.stats import ModelStats
from prometheus_ai_runtime.config import ModelConfig, Timeouts
from prometheus_ai_runtime.errors import Overloaded, RequestError, Unavailable
from prometheus_ai_runtime.hosting.loading import Loaded
from prometheus_ai_runtime.signature import TensorSpec
from prometheus_ai_runtime.tensors.plan import Plan
from prometheus_ai_runtime.watch.cgroup import Throttling
from prometheus_ai_runtime.watch.recent import RecentAnswers

_HELD_MAX = 1024


class Standby(RequestError):
    """The model is being brought back; ``hold`` a request to go on when it is there."""

    code = "unavailable"

    def __init__(self, message: str, model: "HostedModel") -> None:
        super().__init__(message, retry_after_s=model.back_in_s())
        self._model = model

    def hold(self, resume: Callable[[], None]) -> None:
        """Call ``resume`` when the model is back or has failed; raises Overloaded when too many wait."""
        held = self._model.held
        if len(held) >= _HELD_MAX:
            self._model.stats.rejected += 1
            wait_s = self._model.back_in_s()
            raise Overloaded(f"{len(held)} requests wait for the model", retry_after_s=wait_s)
        held.append(resume)


class HostedModel:
    """A model under one name and version; lives on the event loop."""

    def __init__(
        self, config: ModelConfig, throttling: Throttling, non_finite: str, stats: ModelStats
    ) -> None:
        self.config = config
        self.stats = stats
        self.throttling = throttling
        self.batcher = Batcher(config.label, config.batching, self.stats, throttling)
        self.state = "loading"
        """``loading``, ``ready``, ``failed``, ``evicted``, ``returning`` or ``unloaded``."""
        self.reason = "the model is being loaded"
        self.phases_s: dict[str, float] = {}
        self.loaded: Loaded | None = None
        self._plan: Plan | None = None
        self.finite_only = non_finite != "allow"
        self.only_streams = False
        self.last_used = 0.0
        self.is_sole = True
        """Whether its name alone means it, and nobody keeps account of its use; the host says so."""
        self.memory_bytes = config.memory_bytes or 0
        self.held: list[Callable[[], None]] = []
        self.recent = RecentAnswers()
        """Answers of the whole server; the host puts its own here."""
        self.memo: dict[str, Any] = {}
        """What the protocol fronts keep for as long as this model is hosted."""
        self._non_finite = non_finite
        self.cost = COSTS[config.batching.cost]

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return self.state == "ready"

    @property
    def pinned(self) -> bool:
        """Whether it is never evicted."""
        return self.config.pinned

    @property
    def plan(self) -> Plan:
        """The loaded model's plan; raises Unavailable before there is one."""
        plan = self._plan
        if plan is None:
            self.refuse()
        return plan

    def refuse(self) -> NoReturn:
        """Raise what a request for this model gets while it does not serve."""
        message = f"model `{self.config.label}` is not ready: {self.reason}"
        if self.state == "returning":
            raise Standby(message, self)
        self.stats.rejected += 1
        refusal = Unavailable(message, retry_after_s=self.back_in_s())
        refusal.release = self.config.label
        raise refusal

    def back_in_s(self) -> int | None:
        """Seconds that its loading took, as far as it is known; None if nobody is loading it."""
        if self.state in ("failed", "unloaded"):
            return None
        return max(1, math.ceil(sum(self.phases_s.values())))

    def misfit(self, error: RequestError) -> None:
        """Count a request that does not fit the model, and name the model in its answer."""
        self.stats.client_error += 1
        error.release = self.config.label

    def open(self, loaded: Loaded) -> None:
        """Start serving a loaded model."""
        self.loaded = loaded
        self._plan = loaded.plan
        self.only_streams = not loaded.call.predicts
        if self._non_finite == "engine":
            self.finite_only = not loaded.model.missing_is_nan
        if self.config.memory_bytes is None:
            self.memory_bytes = loaded.memory_bytes
        for rows, seconds in loaded.timings:
            self.batcher.curve.observe(rows, seconds)
        self.batcher.open(loaded.call, loaded.inline_us_max)
        self.state = "ready"
        self.reason = ""

    def release_held(self) -> None:
        """Let held requests go on, to be served or refused."""
        held, self.held = self.held, []
        for resume in held:
            resume()

    def progress_age_s(self, now: float) -> float:
        """For how long the running engine call has shown no progress; starting anew is no call."""
        since = self.batcher.busy_since
        if since is None:
            return 0.0
        life = self.loaded.life if self.loaded is not None else None
        if life is not None:
            if life.starting_since is not None:
                return 0.0
            since = max(since, life.started_at)
        return max(0.0, now - since)

    def is_overdue(self, now: float, timeouts: Timeouts) -> bool:
        """Whether the engine's own process hangs, in a call or while it starts."""
        life = self.loaded.life if self.loaded is not None else None
        if life is not None and life.starting_since is not None:
            return now - life.starting_since > timeouts.startup_s
        return self.progress_age_s(now) > timeouts.progress_s

    def kill_engine(self) -> bool:
        """End the engine's own process, where it has one; its calls then fail."""
        if self.loaded is None or self.loaded.life is None:
            return False
        self.loaded.life.kill()
        return True

    def close(self, state: str, reason: str) -> Loaded | None:
        """Stop serving; gives what was loaded, for its owner to close off the loop."""
        self.state = state
        self.reason = reason
        self.batcher.close(f"model `{self.config.label}` is {state}: {reason}")
        loaded, self.loaded, self._plan = self.loaded, None, None
        return loaded

    def metadata(self, versions: list[str]) -> dict[str, Any]:
        """The protocol's model metadata."""
        loaded = self._present()
        signature = loaded.plan.signature
        return {
            "name": self.config.name,
            "versions": versions,
            "platform": f"prometheus_{loaded.engine}",
            "inputs": [_tensor(t) for t in signature.inputs],
            "outputs": [_tensor(t) for t in signature.outputs],
            "parameters": {
                "release": self.config.release or self.config.label,
                "batching": loaded.plan.batched,
            },
        }

    def profile(self) -> dict[str, Any]:
        """What was learned about the model's cost."""
        options = self.config.batching
        curve = self.batcher.curve
        bound_ms = options.latency_ms_max
        return {
            "name": self.config.name,
            "version": self.config.version,
            "rows_max": options.rows_max,
            "latency_ms_max": bound_ms,
            "rows_within_latency": (
                None if bound_ms is None else curve.rows_within(bound_ms / 1e3, options.rows_max)
            ),
            "drain_rows_per_s": round(self.stats.drain_rate(), 3),
            "memory_bytes": self.memory_bytes,
            "phases_s": {k: round(v, 6) for k, v in self.phases_s.items()},
            "curve": curve.as_json(),
        }

    def triton_config(self) -> dict[str, Any]:
        """Triton's model configuration, as far as it has a meaning here."""
        loaded = self._present()
        skipped = 1 if loaded.plan.batched else 0
        signature = loaded.plan.signature
        return {
            "name": self.config.name,
            "platform": f"prometheus_{loaded.engine}",
            "backend": loaded.engine,
            "max_batch_size": self.config.batching.rows_max if loaded.plan.batched else 0,
            "input": [_configured(t, skipped) for t in signature.inputs],
            "output": [_configured(t, skipped) for t in signature.outputs],
        }

    def statistics(self) -> dict[str, Any]:
        """The statistics extension's numbers; durations in nanoseconds."""
        stats = self.stats
        for histogram in (stats.request_seconds, stats.queue_seconds, stats.compute_seconds):
            histogram.fold()
        failed = stats.client_error + stats.server_error + stats.rejected + stats.cancelled
        return {
            "name": self.config.name,
            "version": self.config.version,
            "inference_count": stats.rows,
            "execution_count": stats.batches,
            "inference_stats": {
                "success": _duration(stats.ok, stats.request_seconds.sum),
                "fail": _duration(failed, 0.0),
                "queue": _duration(stats.queue_seconds.count, stats.queue_seconds.sum),
                "compute_infer": _duration(stats.batches, stats.compute_seconds.sum),
            },
        }

    def _present(self) -> Loaded:
        if self.loaded is None:
            self.refuse()
        return self.loaded


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _configured(spec: TensorSpec, skipped: int) -> dict[str, Any]:
    kind = "TYPE_STRING" if spec.datatype == "BYTES" else f"TYPE_{spec.datatype}"
    return {"name": spec.name, "data_type": kind, "dims": list(spec.shape[skipped:])}


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": int(seconds * 1e9)}
