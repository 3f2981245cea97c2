"""One hosted model: its configuration, queue, statistics and state."""

import os
from typing import Any

from prometheus_ai_runtime.batching.batcher import Batcher
from prometheus_ai_runtime.batching.costs import COSTS
from prometheus_ai_runtime.batching.stats import ModelStats
from prometheus_ai_runtime.batching.work import Work
from prometheus_ai_runtime.config import ModelConfig
from prometheus_ai_runtime.errors import Unavailable
from prometheus_ai_runtime.hosting.loading import Loaded
from prometheus_ai_runtime.signature import TensorSpec
from prometheus_ai_runtime.tensors.plan import Plan
from prometheus_ai_runtime.watch.cgroup import Throttling

_MISSING_IS_NAN = ("xgboost", "lightgbm")


class HostedModel:
    """A model under one name and version; lives on the event loop."""

    def __init__(self, config: ModelConfig, throttling: Throttling, non_finite: str) -> None:
        self.config = config
        self.stats = ModelStats()
        self.throttling = throttling
        self.batcher = Batcher(config.label, config.batching, self.stats, throttling)
        self.state = "loading"
        """``loading``, ``ready``, ``failed`` or ``unloaded``."""
        self.reason = "the model is being loaded"
        self.phases_s: dict[str, float] = {}
        self.loaded: Loaded | None = None
        self.finite_only = non_finite != "allow"
        self._non_finite = non_finite
        self._cost = COSTS[config.batching.cost]
        self.memo: dict[str, Any] = {}
        """What the protocol fronts keep for as long as this model is hosted."""
        self.last_used = 0.0

    def cost_of(self, work: Work) -> int:
        """What one row of this work costs, in the units of the declared cost function."""
        return 1 if self._cost is None else self._cost(work)

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return self.state == "ready"

    @property
    def plan(self) -> Plan:
        """The loaded model's plan; raises Unavailable before there is one."""
        if self.loaded is None:
            raise Unavailable(f"model `{self.config.label}` is not ready: {self.reason}")
        return self.loaded.plan

    def open(self, loaded: Loaded) -> None:
        """Start serving a loaded model."""
        self.loaded = loaded
        if self._non_finite == "engine":
            self.finite_only = loaded.engine not in _MISSING_IS_NAN
        for rows, seconds in loaded.timings:
            self.batcher.curve.observe(rows, seconds)
        self.batcher.open(loaded.call)
        self.state = "ready"
        self.reason = ""

    def close(self, state: str, reason: str) -> Loaded | None:
        """Stop serving; gives what was loaded, for its owner to close off the loop."""
        self.state = state
        self.reason = reason
        self.batcher.close(f"model `{self.config.label}` is {state}: {reason}")
        loaded, self.loaded = self.loaded, None
        return loaded

    def metadata(self, versions: list[str]) -> dict[str, Any]:
        """The protocol's model metadata."""
        loaded = self.loaded
        if loaded is None:
            raise Unavailable(f"model `{self.config.label}` is not ready: {self.reason}")
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
        return {
            "name": self.config.name,
            "version": self.config.version,
            "rows_max": self.config.batching.rows_max,
            "latency_ms_max": self.config.batching.latency_ms_max,
            "drain_rows_per_s": round(self.stats.drain_rate(), 3),
            "curve": self.batcher.curve.as_json(),
            "pid": os.getpid(),
        }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}
