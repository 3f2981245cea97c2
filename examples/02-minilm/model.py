"""A sentence encoder behind a tokeniser: texts enter, vectors of 384 numbers leave."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

TOKENS_MAX = 256


class MiniLM:
    """all-MiniLM-L6-v2 as ONNX, its tokeniser beside it."""

    def load(self, path: Path, threads: int) -> None:
        """Open ``minilm.onnx`` and ``tokenizer.json`` in the folder of this file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that spin while they wait take the CPU from the server and from each other.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(path / "minilm.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.enable_truncation(TOKENS_MAX)
        self._tokenizer.enable_padding()

    def prepare(self, text: list[str]) -> dict[str, NDArray[np.int64]]:
        """Tokenise a batch of texts, while ``predict`` is busy with the one before."""
        encoded = self._tokenizer.encode_batch(text)
        ids = np.array([each.ids for each in encoded], dtype=np.int64)
        mask = np.array([each.attention_mask for each in encoded], dtype=np.int64)
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}

    def predict(self, feed: dict[str, Any]) -> Annotated[NDArray[np.float32], -1, 384]:
        """Encode a batch of texts, whoever asked for them."""
        (vectors,) = self._session.run(["embedding"], feed)
        return vectors
