"""Triton's Python backend: one call a batch; the folder that it lies in names the model.

The backend's stub does not see PYTHONPATH, so the folder of ``workload`` comes from PEER_PATH.
"""

import os
import sys

import numpy as np
import triton_python_backend_utils as pb

sys.path.insert(0, os.environ["PEER_PATH"])

import workload


class TritonPythonModel:
    """Either model."""

    def initialize(self, args: dict) -> None:
        """Load the model whose name the server gives."""
        self.is_tabular = args["model_name"] == "tabular"
        self.model = workload.Tabular() if self.is_tabular else workload.MiniLM()

    def execute(self, requests: list) -> list:
        """Answer a batch."""
        return self._tabular(requests) if self.is_tabular else self._minilm(requests)

    def _tabular(self, requests: list) -> list:
        parts = [pb.get_input_tensor_by_name(r, "input").as_numpy() for r in requests]
        labels, probabilities = self.model.run(np.concatenate(parts))
        answers, first = [], 0
        for part in parts:
            end = first + len(part)
            tensors = [
                pb.Tensor("label", labels[first:end].reshape(-1, 1)),
                pb.Tensor("probabilities", probabilities[first:end]),
            ]
            answers.append(pb.InferenceResponse(tensors))
            first = end
        return answers

    def _minilm(self, requests: list) -> list:
        parts = [pb.get_input_tensor_by_name(r, "text").as_numpy() for r in requests]
        vectors = self.model.run([v.decode() for part in parts for v in part.reshape(-1)])
        answers, first = [], 0
        for part in parts:
            end = first + len(part)
            answers.append(pb.InferenceResponse([pb.Tensor("embedding", vectors[first:end])]))
            first = end
        return answers
