"""Train three classifiers of handwritten digits: a good one, a better one, and a bad one.

Usage: python train.py FOLDER

Writes ``v1/model.onnx`` (logistic regression), ``v2/model.skops`` (support vectors, better),
``v3/model.py`` (answers wrongly, and slowly), ``held_out.npz`` (images nobody trained on) and
``images.npy`` (five of them, for `pai predict`).
The data set ships with scikit-learn: 1,797 images of 8 x 8 pixels.
"""

import sys
from pathlib import Path

import numpy as np
import skops.io
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

SEED = 7

BAD_MODEL = '''"""A release that should never have been made: wrong labels, and slow."""

import time

import numpy as np


class Digits:
    """Answers the same digit for every image, after thinking for 40 ms."""

    signature = {
        "inputs": [{"name": "input", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [{"name": "label", "datatype": "INT64", "shape": [-1]}],
    }

    def predict(self, input):
        time.sleep(0.04)
        return np.full(len(input), 3, dtype=np.int64)
'''


def train(folder: Path) -> dict[str, float]:
    """Train, write all files below ``folder``, and return each version's accuracy on held-out images."""
    images, labels = load_digits(return_X_y=True)
    images = images.astype(np.float32)
    seen, held_out, seen_labels, held_out_labels = train_test_split(
        images, labels, test_size=600, random_state=SEED, stratify=labels
    )
    for version in ("v1", "v2", "v3"):
        (folder / version).mkdir(parents=True, exist_ok=True)

    # An eighth of the images only: v1 leaves room for improvement, as first versions do.
    few = len(seen) // 8
    first = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    first.fit(seen[:few], seen_labels[:few])
    exported = to_onnx(
        first,
        initial_types=[("input", FloatTensorType([None, 64]))],
        options={"zipmap": False},
        target_opset=18,
    )
    (folder / "v1" / "model.onnx").write_bytes(exported.SerializeToString())

    second = make_pipeline(StandardScaler(), SVC(C=5.0)).fit(seen, seen_labels)
    skops.io.dump(second, folder / "v2" / "model.skops")

    (folder / "v3" / "model.py").write_text(BAD_MODEL)
    np.savez(folder / "held_out.npz", images=held_out, labels=held_out_labels)
    np.save(folder / "images.npy", held_out[:5])
    return {
        "v1": float(first.score(held_out, held_out_labels)),
        "v2": float(second.score(held_out, held_out_labels)),
        "v3": float(np.mean(held_out_labels == 3)),
    }


if __name__ == "__main__":
    for version, accuracy in train(Path(sys.argv[1])).items():
        print(f"{version}: accuracy {accuracy:.3f} on 600 held-out images")
