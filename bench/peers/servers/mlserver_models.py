"""MLServer: V2, batches of 32 within 2 ms, models in the server's own process."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from workload import MiniLM, Tabular


class TabularModel(MLModel):
    """Rows."""

    async def load(self) -> bool:
        """Load."""
        self.model = Tabular()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer a batch."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        labels, probabilities = self.model.run(rows)
        outputs = [
            NumpyCodec.encode_output("label", labels),
            NumpyCodec.encode_output("probabilities", probabilities),
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)


class MiniLMModel(MLModel):
    """Texts."""

    async def load(self) -> bool:
        """Load."""
        self.model = MiniLM()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer a batch."""
        texts = StringCodec.decode_input(payload.inputs[0])
        vectors = self.model.run(texts)
        output = NumpyCodec.encode_output("embedding", np.ascontiguousarray(vectors))
        return InferenceResponse(model_name=self.name, outputs=[output])
