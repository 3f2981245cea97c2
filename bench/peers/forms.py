"""The forms in which servers are asked and answer: their own plain JSON, or the V2 protocol."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Answer = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a question about ``tabular`` or ``minilm`` is written, and an answer read."""

    ask: Callable[[str, Any], Any]
    tell: Callable[[str, Any], Answer]

    def body(self, model: str, question: Any) -> bytes:
        """Return a request body for one row or text."""
        return json.dumps(self.ask(model, question), separators=(",", ":")).encode()

    def read(self, model: str, body: bytes) -> Answer:
        """Return the values of an answer by name."""
        return self.tell(model, json.loads(body))


def _ask_plain(model: str, question: Any) -> Any:
    return {"input": question} if model == "tabular" else {"text": question}


def _tell_plain(model: str, answer: Any) -> Answer:
    if model == "minilm":
        return {"vectors": answer["embedding"]}
    return {"labels": answer["label"], "probabilities": answer["probabilities"]}


def _ask_lists(model: str, question: Any) -> Any:
    return {"input": [question]} if model == "tabular" else {"text": [question]}


def _tell_lists(model: str, answer: Any) -> Answer:
    return {"vectors": answer[0]} if model == "minilm" else _tell_plain(model, answer[0])


def _ask_v2(model: str, question: Any) -> Any:
    if model == "tabular":
        tensor = {"name": "input", "shape": [1, 4], "datatype": "FP32", "data": question}
    else:
        tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [question]}
    return {"inputs": [tensor]}


def _ask_v2_columns(model: str, question: Any) -> Any:
    asked = _ask_v2(model, question)
    if model == "minilm":
        asked["inputs"][0]["shape"] = [1, 1]
    return asked


def _tell_v2(model: str, answer: Any) -> Answer:
    tensors = {tensor["name"]: tensor["data"] for tensor in answer["outputs"]}
    if model == "minilm":
        return {"vectors": next(iter(tensors.values()))}
    return {"labels": tensors["label"][0], "probabilities": tensors["probabilities"]}


PLAIN = Form(ask=_ask_plain, tell=_tell_plain)
LISTS = Form(ask=_ask_lists, tell=_tell_lists)
V2 = Form(ask=_ask_v2, tell=_tell_v2)
V2_COLUMNS = Form(ask=_ask_v2_columns, tell=_tell_v2)
"""As V2, but a text tensor has two dimensions."""


def error(given: Answer, expected: Mapping[str, Any]) -> float:
    """Return the largest difference from the model's own answer; infinite for a wrong label."""
    if "labels" in given and int(given["labels"]) != int(expected["labels"]):
        return float("inf")
    largest = 0.0
    for name in given.keys() - {"labels"}:
        values = np.array(given[name], dtype=np.float64).reshape(-1)
        if values.shape != expected[name].shape:
            return float("inf")
        largest = max(largest, float(np.abs(values - expected[name]).max()))
    return largest
