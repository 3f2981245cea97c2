"""A model that reads much and answers little: the mean of each row of 1,024 numbers.

python make_wide.py FOLDER
"""

import sys
from pathlib import Path

from onnx import TensorProto, checker, helper

WIDTH = 1024


def main(folder: Path) -> None:
    """Write ``wide.onnx``: ``input`` FP32 [-1, 1024] to ``mean`` FP32 [-1, 1]."""
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["rows", WIDTH])
    wanted = helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["rows", 1])
    node = helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1], keepdims=1)
    graph = helper.make_graph([node], "wide", [given], [wanted])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    (folder / "wide.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
