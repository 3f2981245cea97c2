"""Ray Serve: deployments that batch 32 within 2 ms, one replica each, one proxy."""

import signal
import sys

import ray
from ray import serve
from starlette.requests import Request
from workload import BATCH_MAX, WAIT_S, MiniLM, Tabular


@serve.deployment(max_ongoing_requests=100)
class TabularModel:
    """Rows."""

    def __init__(self) -> None:
        self.model = Tabular()

    @serve.batch(max_batch_size=BATCH_MAX, batch_wait_timeout_s=WAIT_S)
    async def batch(self, rows: list) -> list:
        """Answer a batch."""
        labels, probabilities = self.model.run(rows)
        pairs = zip(labels.tolist(), probabilities.tolist(), strict=True)
        return [{"label": label, "probabilities": p} for label, p in pairs]

    async def __call__(self, request: Request) -> dict:
        """Answer one request."""
        return await self.batch((await request.json())["input"])


@serve.deployment(max_ongoing_requests=100)
class MiniLMModel:
    """Texts."""

    def __init__(self) -> None:
        self.model = MiniLM()

    @serve.batch(max_batch_size=BATCH_MAX, batch_wait_timeout_s=WAIT_S)
    async def batch(self, texts: list) -> list:
        """Answer a batch."""
        return [{"embedding": v} for v in self.model.run(texts).tolist()]

    async def __call__(self, request: Request) -> dict:
        """Answer one request."""
        return await self.batch((await request.json())["text"])


if __name__ == "__main__":
    ray.init(include_dashboard=False, num_cpus=4, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1]), "access_log": False})
    serve.run(TabularModel.bind(), name="tabular", route_prefix="/tabular")
    serve.run(MiniLMModel.bind(), name="minilm", route_prefix="/minilm")
    signal.pause()
