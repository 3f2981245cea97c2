"""KServe: its model server without per-request log lines; V2, no batching in the package.

PYTHON kserve_server.py HTTP_PORT GRPC_PORT
"""

import asyncio
import sys

import kserve
from kserve import InferOutput, InferRequest, InferResponse
from workload import MiniLM, Tabular


class Answering(kserve.Model):
    """What both share."""

    def load(self) -> bool:
        """Say that the model is there."""
        self.ready = True
        return True


class TabularModel(Answering):
    """Rows; small enough for the event loop."""

    def __init__(self) -> None:
        super().__init__("tabular")
        self.model = Tabular()
        self.load()

    async def predict(self, payload: InferRequest, headers=None, response_headers=None):
        """Answer one request."""
        labels, probabilities = self.model.run(payload.inputs[0].as_numpy())
        first = InferOutput("label", list(labels.shape), "INT64")
        first.set_data_from_numpy(labels, binary_data=False)
        second = InferOutput("probabilities", list(probabilities.shape), "FP32")
        second.set_data_from_numpy(probabilities, binary_data=False)
        return InferResponse(payload.id or "1", self.name, [first, second])


class MiniLMModel(Answering):
    """Texts; on a thread."""

    def __init__(self) -> None:
        super().__init__("minilm")
        self.model = MiniLM()
        self.load()

    async def predict(self, payload: InferRequest, headers=None, response_headers=None):
        """Answer one request."""
        texts = [v if isinstance(v, str) else v.decode() for v in payload.inputs[0].data]
        vectors = await asyncio.to_thread(self.model.run, texts)
        output = InferOutput("embedding", list(vectors.shape), "FP32")
        output.set_data_from_numpy(vectors, binary_data=False)
        return InferResponse(payload.id or "1", self.name, [output])


if __name__ == "__main__":
    kserve.ModelServer(
        http_port=int(sys.argv[1]), grpc_port=int(sys.argv[2]), workers=1,
        enable_latency_logging=False, access_log_format=None,
    ).start([TabularModel(), MiniLMModel()])  # fmt: skip
