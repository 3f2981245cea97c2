"""Train a logistic regression on the iris data and export it to ONNX.

    python make_tabular.py FOLDER

Writes ``tabular.onnx``: ``input`` FP32 [-1, 4] to ``label`` and ``probabilities``.
"""

import sys
from pathlib import Path

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


def main(folder: Path) -> None:
    """Write the file."""
    rows, labels = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=1000).fit(rows, labels)
    free = [("input", FloatTensorType([None, 4]))]
    exported = to_onnx(model, initial_types=free, options={"zipmap": False}, target_opset=17)
    (folder / "tabular.onnx").write_bytes(exported.SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
