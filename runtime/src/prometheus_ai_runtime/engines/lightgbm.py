"""LightGBM models saved as text."""

import json
import re
from pathlib import Path
from typing import Any

from prometheus_ai_runtime.engines.agreement import agree
from prometheus_ai_runtime.engines.base import LoadRequest, Tensors
from prometheus_ai_runtime.engines.library import require, require_cpu
from prometheus_ai_runtime.engines.trees import answers_of, tree_signature
from prometheus_ai_runtime.signature import Signature

OPTIONS: frozenset[str] = frozenset()

_HEAD_BYTES = 1 << 20
_TAIL_BYTES = 1 << 20
_OBJECTIVE = re.compile(r"^objective=(\w+)", re.MULTILINE)
_CATEGORIES = re.compile(r"^pandas_categorical:(.*)$", re.MULTILINE)
_UNNAMED = re.compile(r"Column_\d+")


class LightgbmModel:
    """One booster; NaN in the input means a missing value."""

    batchable = True
    missing_is_nan = True

    def __init__(
        self,
        booster: Any,
        signature: Signature,
        *,
        classes: int,
        threads: int,
        warnings: tuple[str, ...],
    ) -> None:
        self.signature = signature
        self.warnings = warnings
        self._booster = booster
        self._classes = classes
        self._threads = threads
        self._names = tuple(tensor.name for tensor in signature.outputs)

    def predict(self, inputs: Tensors) -> Tensors:
        """Add up the trees for a batch."""
        scores = self._booster.predict(
            inputs["input"], num_threads=self._threads, validate_features=False
        )
        answers = answers_of(scores, classes=self._classes)
        return {name: answers[name] for name in self._names}

    def close(self) -> None:
        """Drop the booster."""
        self._booster = None


def load(request: LoadRequest) -> LightgbmModel:
    """Read a booster and derive its signature from its objective."""
    require_cpu(request.device, engine="lightgbm")
    lightgbm = require("lightgbm", extra="lightgbm")
    booster = lightgbm.Booster(model_file=str(request.path))
    names = tuple(booster.feature_name())
    objective = _objective(request.path)
    scores = int(booster.num_model_per_iteration())
    classes = _classes(objective, scores)
    found = tree_signature(
        request,
        width=booster.num_feature(),
        columns=() if all(_UNNAMED.fullmatch(name) for name in names) else names,
        classes=classes,
        targets=scores,
    )
    return LightgbmModel(
        booster,
        agree(found, request),
        classes=classes,
        threads=request.threads,
        warnings=_categorical_warnings(request.path),
    )


def _objective(path: Path) -> str:
    with path.open("rb") as file:
        match = _OBJECTIVE.search(file.read(_HEAD_BYTES).decode(errors="replace"))
    return match.group(1) if match else ""


def _classes(objective: str, scores: int) -> int:
    """How many classes the model tells apart; 0 where its answer is a number."""
    if objective == "binary":
        return 2
    return scores if objective.startswith("multiclass") else 0


def _categorical_warnings(path: Path) -> tuple[str, ...]:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        match = _CATEGORIES.search(file.read().decode(errors="replace"))
    categories = json.loads(match.group(1)) if match else None
    if not categories:
        return ()
    listed = json.dumps(categories)[:400]
    return (
        f"{len(categories)} columns were categories: send the position of the value in {listed}",
    )
