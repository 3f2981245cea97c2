"""The two models as every server here runs them, and what they are asked.

    PYTHON workload.py FOLDER

Runs in every server's environment: needs numpy, onnxruntime and tokenizers, nothing of ours.
As a program it writes ``questions.json`` and ``answers.npz``: 64 questions for each model and the
answers of the model itself, which every server's answers are compared with.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

QUESTIONS = 64
BATCH_MAX = 32
WAIT_S = 0.002
_SUBJECTS = ("the old sailor", "a young doctor", "my quiet neighbour", "the tall gardener")
_VERBS = ("carries", "watches", "paints", "repairs")
_OBJECTS = ("seven small boats", "an open window", "the broken chair", "some green apples")
_PLACES = (
    "near the river today",
    "behind our red house",
    "under a grey sky",
    "before the long night",
)


def models() -> Path:
    """Return the folder that the models lie in."""
    return Path(os.environ["PEER_MODELS"])


def session(name: str, threads: int) -> onnxruntime.InferenceSession:
    """Open a model as all servers do: so many threads, none of which spins."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = str(models() / f"{name}.onnx")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Tabular:
    """Logistic regression on four features."""

    def __init__(self) -> None:
        self._session = session("tabular", threads=1)

    def run(self, rows):
        """Return labels and probabilities of rows of four numbers."""
        return self._session.run(None, {"input": np.asarray(rows, dtype=np.float32)})


class MiniLM:
    """A sentence encoder; texts are tokenised here."""

    def __init__(self) -> None:
        self._session = session("minilm", threads=2)
        self._tokenizer = Tokenizer.from_file(str(models() / "tokenizer.json"))
        self._tokenizer.enable_truncation(256)
        self._tokenizer.enable_padding()

    def run(self, texts):
        """Return one vector of 384 numbers a text."""
        encoded = self._tokenizer.encode_batch(texts)
        ids = np.array([e.ids for e in encoded], dtype=np.int64)
        mask = np.array([e.attention_mask for e in encoded], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return self._session.run(None, feed)[0]


def sentences() -> list[str]:
    """Return texts of twelve words each."""
    made = []
    for number in range(QUESTIONS):
        n = number
        parts = []
        for choices in (_SUBJECTS, _VERBS, _OBJECTS, _PLACES):
            parts.append(choices[n % len(choices)])
            n = n // 4 + number
        made.append(" ".join(parts) + (" while" if len(" ".join(parts).split()) < 12 else ""))
    return made


def rows() -> list[list[float]]:
    """Return rows of four measurements with one decimal, as the iris data set has them."""
    random = np.random.default_rng(7)
    low, high = np.array([4.3, 2.0, 1.0, 0.1]), np.array([7.9, 4.4, 6.9, 2.5])
    return [[round(float(x), 1) for x in random.uniform(low, high)] for _ in range(QUESTIONS)]


def main(folder: Path) -> None:
    """Write questions and answers."""
    os.environ["PEER_MODELS"] = str(folder)
    texts, features = sentences(), rows()
    lengths = {len(MiniLM()._tokenizer.encode(text).ids) for text in texts}
    labels, probabilities = Tabular().run(features)
    single = [MiniLM().run([text])[0] for text in texts[:1]]
    vectors = MiniLM().run(texts)
    np.testing.assert_allclose(single[0], vectors[0], atol=1e-5)
    np.savez(folder / "answers.npz", labels=labels, probabilities=probabilities, vectors=vectors)
    asked = {"tabular": features, "minilm": texts}
    (folder / "questions.json").write_text(json.dumps(asked))
    print(f"texts of {sorted(lengths)} tokens; {len(features)} rows")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
