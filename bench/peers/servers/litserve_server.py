"""LitServe: plain JSON, batches of 32 within 2 ms, one worker a model, its fast queue."""

import sys

import litserve
from workload import BATCH_MAX, WAIT_S, MiniLM, Tabular


class TabularAPI(litserve.LitAPI):
    """Batches of rows."""

    def setup(self, device: str) -> None:
        """Load."""
        self.model = Tabular()

    def decode_request(self, request: dict) -> list[float]:
        """Take the row."""
        return request["input"]

    def batch(self, inputs: list) -> list:
        """Keep the list."""
        return inputs

    def predict(self, x: list) -> list:
        """Answer a batch."""
        labels, probabilities = self.model.run(x)
        return list(zip(labels.tolist(), probabilities.tolist(), strict=True))

    def unbatch(self, output: list) -> list:
        """Keep the list."""
        return output

    def encode_response(self, output: tuple) -> dict:
        """Name the values."""
        return {"label": output[0], "probabilities": output[1]}


class MiniLMAPI(litserve.LitAPI):
    """Batches of texts."""

    def setup(self, device: str) -> None:
        """Load."""
        self.model = MiniLM()

    def decode_request(self, request: dict) -> str:
        """Take the text."""
        return request["text"]

    def batch(self, inputs: list) -> list:
        """Keep the list."""
        return inputs

    def predict(self, x: list) -> list:
        """Answer a batch."""
        return self.model.run(x).tolist()

    def unbatch(self, output: list) -> list:
        """Keep the list."""
        return output

    def encode_response(self, output: list) -> dict:
        """Name the values."""
        return {"embedding": output}


if __name__ == "__main__":
    bounds = {"max_batch_size": BATCH_MAX, "batch_timeout": WAIT_S}
    server = litserve.LitServer(
        [TabularAPI(api_path="/tabular", **bounds), MiniLMAPI(api_path="/minilm", **bounds)],
        accelerator="cpu",
        fast_queue=True,
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False,
        log_level="warning", access_log=False,
    )  # fmt: skip
