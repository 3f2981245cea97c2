"""BentoML: batchable methods of 32 with its adaptive dispatcher, one worker."""

from typing import Any

import bentoml
from workload import BATCH_MAX, MiniLM, Tabular


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Both:
    """Both models."""

    def __init__(self) -> None:
        self.tabular_model = Tabular()
        self.minilm_model = MiniLM()

    @bentoml.api(route="/tabular", batchable=True, max_batch_size=BATCH_MAX)
    def tabular(self, input: list[list[float]]) -> list[dict[str, Any]]:  # noqa: A002
        """Answer a batch of rows."""
        labels, probabilities = self.tabular_model.run(input)
        pairs = zip(labels.tolist(), probabilities.tolist(), strict=True)
        return [{"label": label, "probabilities": p} for label, p in pairs]

    @bentoml.api(route="/minilm", batchable=True, max_batch_size=BATCH_MAX)
    def minilm(self, text: list[str]) -> list[list[float]]:
        """Answer a batch of texts."""
        return self.minilm_model.run(text).tolist()
