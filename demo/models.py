"""The second model as the first one's engine takes it: the same input, another and better classifier."""

import warnings
from pathlib import Path

import skops.io
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType


def better(folder: Path) -> None:
    """Write the better classifier of the example, which its training left beside it, as ONNX."""
    path = folder / "v2" / "model.skops"
    trained = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    with warnings.catch_warnings():
        # The converter reads attributes that scikit-learn is about to rename.
        warnings.simplefilter("ignore", FutureWarning)
        exported = to_onnx(
            trained,
            initial_types=[("input", FloatTensorType([None, 64]))],
            options={"zipmap": False},
            target_opset=18,
        )
    (folder / "v2" / "model.onnx").write_bytes(exported.SerializeToString())
