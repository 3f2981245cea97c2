"""Hugging Face folders: text classification and sentence embeddings, from local files only."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from prometheus_ai_runtime.engines.agreement import agree, as_bytes, as_text
from prometheus_ai_runtime.engines.base import EngineError, LoadRequest, Tensors, UnsafeFormat
from prometheus_ai_runtime.engines.library import cuda_index, require
from prometheus_ai_runtime.signature import Signature, TensorSpec

OPTIONS = frozenset({"task", "tokens_max"})

_CLASSIFICATION = "text-classification"
_EMBEDDING = "embedding"
_TASKS = (_CLASSIFICATION, _EMBEDDING)
_TOKENS_MAX = 512
_POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}


class _TextModel:
    """Tokenizer and transformer on one device."""

    batchable = True
    missing_is_nan = False
    warnings: tuple[str, ...] = ()

    def __init__(self, parts: "_Parts", signature: Signature) -> None:
        self.signature = signature
        self._torch = parts.torch
        self._tokenizer = parts.tokenizer
        self._network = parts.network
        self._device = parts.device
        self._tokens_max = parts.tokens_max
        self._names = tuple(tensor.name for tensor in signature.outputs)

    def close(self) -> None:
        """Drop the network and give its GPU memory back."""
        self._network = None
        if self._device != "cpu":
            self._torch.cuda.empty_cache()

    def predict(self, inputs: Tensors) -> Tensors:
        """Tokenise and run."""
        return self.run(self.prepare(inputs))

    def run(self, prepared: Any) -> Tensors:
        """Run the network on tokens."""
        raise NotImplementedError

    def prepare(self, inputs: Tensors) -> Any:
        """Tokenise a batch of texts."""
        tokens = self._tokenizer(
            as_text(inputs["text"]).tolist(),
            padding=True,
            truncation=True,
            max_length=self._tokens_max,
            return_tensors="pt",
        )
        return tokens if self._device == "cpu" else tokens.to(self._device)

    def _chosen(self, answers: Tensors) -> Tensors:
        return {name: answers[name] for name in self._names}


class TextClassifier(_TextModel):
    """Gives the best label of a text, its score, and the probability of each label."""

    def __init__(self, parts: "_Parts", signature: Signature) -> None:
        super().__init__(parts, signature)
        config = parts.network.config
        labels = [str(config.id2label[number]) for number in range(config.num_labels)]
        self._labels = as_bytes(np.array(labels, dtype=np.object_))
        self._many = config.problem_type == "multi_label_classification"

    def run(self, prepared: Any) -> Tensors:
        """Classify a batch of tokenised texts."""
        with self._torch.inference_mode():
            logits = self._network(**prepared).logits.float()
            probability = logits.sigmoid() if self._many else logits.softmax(dim=-1)
            score, best = probability.max(dim=-1)
        return self._chosen(
            {
                "label": self._labels[best.cpu().numpy()],
                "score": score.cpu().numpy(),
                "probability": probability.cpu().numpy(),
            }
        )


class TextEmbedder(_TextModel):
    """Gives one vector for each text."""

    def __init__(
        self, parts: "_Parts", signature: Signature, *, pooling: str, normalize: bool
    ) -> None:
        super().__init__(parts, signature)
        self._pooling = pooling
        self._normalize = normalize

    def run(self, prepared: Any) -> Tensors:
        """Embed a batch of tokenised texts."""
        with self._torch.inference_mode():
            hidden = self._network(**prepared).last_hidden_state.float()
            vectors = _pooled(hidden, prepared["attention_mask"], self._pooling)
            if self._normalize:
                vectors = self._torch.nn.functional.normalize(vectors, dim=-1)
        return {"embedding": vectors.cpu().numpy()}


class _Parts:
    """What both tasks are made of."""

    def __init__(self, request: LoadRequest, task: str) -> None:
        # Local files are all there is: a name that looks like a hub's must never be fetched.
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        self.torch = require("torch", extra="huggingface")
        transformers = require("transformers", extra="huggingface")
        transformers.utils.logging.disable_progress_bar()
        self.device = _device(self.torch, request.device)
        self.torch.set_num_threads(request.threads)
        kind = (
            transformers.AutoModelForSequenceClassification
            if task == _CLASSIFICATION
            else transformers.AutoModel
        )
        local = {"local_files_only": True, "trust_remote_code": False}
        folder = str(request.path)
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
        self.network = kind.from_pretrained(
            folder, use_safetensors=None if request.allow_pickle else True, **local
        )
        self.network.eval().to(self.device)
        self.tokens_max = _tokens_max(request, self.tokenizer, self.network.config)


def load(request: LoadRequest) -> TextClassifier | TextEmbedder:
    """Open a folder; its architecture decides the task unless option ``task`` does."""
    config = json.loads((request.path / "config.json").read_bytes())
    _refuse_code(request, config)
    task = request.options.get("task") or _task(config)
    if task not in _TASKS:
        raise EngineError(f"option task is {task!r}; use {' or '.join(_TASKS)}")
    parts = _Parts(request, task)
    text = TensorSpec(name="text", datatype="BYTES", shape=(-1,))
    if task == _CLASSIFICATION:
        labels = int(parts.network.config.num_labels)
        outputs: tuple[TensorSpec, ...] = (
            TensorSpec(name="label", datatype="BYTES", shape=(-1,)),
            TensorSpec(name="score", datatype="FP32", shape=(-1,)),
            TensorSpec(name="probability", datatype="FP32", shape=(-1, labels)),
        )
        return TextClassifier(parts, agree(Signature(inputs=(text,), outputs=outputs), request))
    width = int(parts.network.config.hidden_size)
    outputs = (TensorSpec(name="embedding", datatype="FP32", shape=(-1, width)),)
    return TextEmbedder(
        parts,
        agree(Signature(inputs=(text,), outputs=outputs), request),
        pooling=_pooling(request.path),
        normalize=_normalizes(request.path),
    )


def _refuse_code(request: LoadRequest, config: dict[str, Any]) -> None:
    if "auto_map" in config:
        raise UnsafeFormat(
            f"{request.path} brings its own model code (auto_map in config.json), which is never "
            "run from a model folder; serve it with the python engine instead"
        )
    if not request.allow_pickle and not any(request.path.glob("*.safetensors")):
        raise UnsafeFormat(
            f"{request.path} has no safetensors file, and other weights are pickles that run code "
            "when they are loaded; save with save_pretrained(safe_serialization=True), or allow "
            "it (--allow-pickle) if you trust who wrote it"
        )


def _task(config: dict[str, Any]) -> str:
    for name in config.get("architectures") or ():
        if name.endswith("ForSequenceClassification"):
            return _CLASSIFICATION
        if "For" in name and not name.endswith("ForMaskedLM"):
            raise EngineError(
                f"architecture {name} is not one of the tasks served here ({', '.join(_TASKS)}); "
                "export it to ONNX, use the python engine, or an LLM engine for text generation"
            )
    return _EMBEDDING


def _device(torch: Any, device: str) -> str:
    index = cuda_index(device)
    if index is None:
        return "cpu"
    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        raise EngineError(
            f"{device} was asked for, but PyTorch does not see it; check the driver and that the "
            "installed torch is a CUDA build"
        )
    return f"cuda:{index}"


def _tokens_max(request: LoadRequest, tokenizer: Any, config: Any) -> int:
    """Longest text in tokens; longer ones are cut, as the model was trained to expect."""
    asked = request.options.get("tokens_max")
    if asked is not None and (type(asked) is not int or asked < 1):
        raise EngineError(f"option tokens_max is {asked!r}; use a positive whole number")
    sentence = _read_json(request.path / "sentence_bert_config.json").get("max_seq_length")
    limits = [asked, sentence, tokenizer.model_max_length, config.max_position_embeddings]
    known = [limit for limit in limits if isinstance(limit, int) and 0 < limit < 1 << 30]
    return min(known, default=_TOKENS_MAX)


def _pooling(folder: Path) -> str:
    config = _read_json(folder / "1_Pooling" / "config.json")
    for field, pooling in _POOLINGS.items():
        if config.get(field) is True:
            return pooling
    return "mean"


def _normalizes(folder: Path) -> bool:
    """Whether vectors get length one: as sentence-transformers' module list says, else yes."""
    modules = _read_json(folder / "modules.json").get("modules", [])
    return not modules or any("Normalize" in str(module.get("type")) for module in modules)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = json.loads(path.read_bytes())
    return {"modules": content} if isinstance(content, list) else dict(content)


def _pooled(hidden: Any, mask: Any, pooling: str) -> Any:
    if pooling == "cls":
        return hidden[:, 0]
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    if pooling == "max":
        return hidden.masked_fill(weights == 0, -1e9).max(dim=1).values
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
