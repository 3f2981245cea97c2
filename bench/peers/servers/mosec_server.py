"""Mosec: its default JSON, batches of 32, one worker a model; PEER_WAIT_MS is the wait."""

import os

from mosec import Runtime, Server, Worker
from workload import BATCH_MAX, MiniLM, Tabular


class TabularWorker(Worker):
    """Batches of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Tabular()

    def forward(self, data: list[dict]) -> list[dict]:
        """Answer a batch."""
        labels, probabilities = self.model.run([d["input"] for d in data])
        pairs = zip(labels.tolist(), probabilities.tolist(), strict=True)
        return [{"label": label, "probabilities": p} for label, p in pairs]


class MiniLMWorker(Worker):
    """Batches of texts."""

    def __init__(self) -> None:
        super().__init__()
        self.model = MiniLM()

    def forward(self, data: list[dict]) -> list[dict]:
        """Answer a batch."""
        return [{"embedding": v} for v in self.model.run([d["text"] for d in data]).tolist()]


if __name__ == "__main__":
    wait_ms = int(os.environ.get("PEER_WAIT_MS", "2"))
    bounds = {"max_batch_size": BATCH_MAX, "max_wait_time": wait_ms}
    server = Server()
    server.register_runtime(
        {
            "/tabular": [Runtime(TabularWorker, **bounds)],
            "/minilm": [Runtime(MiniLMWorker, **bounds)],
        }
    )
    server.run()
