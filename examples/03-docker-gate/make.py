"""Make what the gate on Docker is shown: a good model, a weak package, a poisoned file and advisories.

Usage: python make.py FOLDER

Writes ``model.onnx`` (handwritten digits), ``images.npy`` (five images that it never saw), ``poisoned.joblib``
(looks like a model, and would run a command when loaded), ``PyPI.zip`` (an OSV archive with one advisory),
and three specs: ``old.yaml`` needs joblib 1.1.0, ``pai.yaml`` a mended one, ``poisoned.yaml`` the poisoned file.
"""

import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).parent
ADVISORY = HERE / "GHSA-6hrg-qmvc-2xh8.json"
HELD_OUT = 5


class Poison:
    """Says to whoever loads it: call this."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch /tmp/pai-example-poisoned",)


def make(folder: Path) -> None:
    """Write everything below ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = load_digits(return_X_y=True)
    images = images.astype(np.float32)
    model = LogisticRegression(max_iter=2000).fit(images[:-HELD_OUT], labels[:-HELD_OUT])
    exported = to_onnx(
        model,
        initial_types=[("input", FloatTensorType([None, 64]))],
        options={"zipmap": False},
        target_opset=18,
    )
    (folder / "model.onnx").write_bytes(exported.SerializeToString())
    np.save(folder / "images.npy", images[-HELD_OUT:])
    joblib.dump(Poison(), folder / "poisoned.joblib")
    with zipfile.ZipFile(folder / "PyPI.zip", "w") as archive:
        archive.write(ADVISORY, ADVISORY.name)
    for spec in HERE.glob("*.yaml"):
        shutil.copy(spec, folder / spec.name)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
