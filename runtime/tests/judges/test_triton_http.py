"""The Triton client, unchanged, against the server."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

IDENTITY = '''
import numpy as np

DATATYPES = {datatypes}


class Identity:
    """Gives every input back."""

    signature = {{
        "inputs": [{{"name": f"in_{{d}}", "datatype": d, "shape": [-1, 2]}} for d in DATATYPES],
        "outputs": [{{"name": f"out_{{d}}", "datatype": d, "shape": [-1, 2]}} for d in DATATYPES],
    }}

    def predict(self, batch):
        return {{f"out_{{d}}": batch[f"in_{{d}}"] for d in DATATYPES}}
'''
VALUES: dict[str, Any] = {
    "BOOL": np.array([[True, False]]),
    "UINT8": np.array([[0, 255]], np.uint8),
    "UINT16": np.array([[0, 65535]], np.uint16),
    "UINT32": np.array([[0, 2**32 - 1]], np.uint32),
    "UINT64": np.array([[0, 2**64 - 1]], np.uint64),
    "INT8": np.array([[-128, 127]], np.int8),
    "INT16": np.array([[-(2**15), 2**15 - 1]], np.int16),
    "INT32": np.array([[-(2**31), 2**31 - 1]], np.int32),
    "INT64": np.array([[-(2**63), 2**63 - 1]], np.int64),
    "FP16": np.array([[0.5, -65504.0]], np.float16),
    "BF16": np.array([[1.5, -2.0]], ml_dtypes.bfloat16),
    "FP32": np.array([[0.1, -3.4e38]], np.float32),
    "FP64": np.array([[0.1, 1e308]], np.float64),
    "BYTES": np.array([[b"first", "zw\u00f6lf \U0001f642".encode()]], dtype=object),
}
NO_JSON = ("FP16", "BF16")  # the client itself sends these only as binary


@pytest.fixture
def client(serve: Any, python_model: Any) -> Any:
    path = python_model(IDENTITY.format(datatypes=list(VALUES)))
    running = serve(name="identity", version="v3", path=path, engine="python")
    with triton.InferenceServerClient(f"127.0.0.1:{running.port}") as client:
        yield client


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_every_datatype_comes_back_as_it_went(
    client: Any, binary_in: bool, binary_out: bool
) -> None:
    inputs, outputs = [], []
    for datatype, value in VALUES.items():
        tensor = triton.InferInput(f"in_{datatype}", list(value.shape), datatype)
        tensor.set_data_from_numpy(value, binary_data=binary_in or datatype in NO_JSON)
        inputs.append(tensor)
        wanted_binary = binary_out or datatype in NO_JSON
        outputs.append(triton.InferRequestedOutput(f"out_{datatype}", binary_data=wanted_binary))
    answer = client.infer(
        "identity", inputs, model_version="v3", outputs=outputs, request_id="ask-1"
    )
    assert answer.get_response()["id"] == "ask-1"
    for datatype, value in VALUES.items():
        given = answer.as_numpy(f"out_{datatype}")
        if datatype == "BYTES" and not binary_out:
            # JSON carries text, and the client leaves it as text.
            given = np.array([[text.encode() for text in given[0]]], dtype=object)
        np.testing.assert_array_equal(given, value)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_requests_and_answers_are_understood(client: Any, coding: str) -> None:
    inputs = []
    for datatype, value in VALUES.items():
        tensor = triton.InferInput(f"in_{datatype}", list(value.shape), datatype)
        tensor.set_data_from_numpy(value)
        inputs.append(tensor)
    answer = client.infer(
        "identity",
        inputs,
        request_compression_algorithm=coding,
        response_compression_algorithm=coding,
    )
    np.testing.assert_array_equal(answer.as_numpy("out_INT64"), VALUES["INT64"])


def test_the_client_reads_health_and_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("identity")
    assert client.is_model_ready("identity", "v3")
    assert client.get_server_metadata()["name"] == "pai-runtime"
    metadata = client.get_model_metadata("identity", "v3")
    assert metadata["versions"] == ["v3"]
    assert {"name": "in_BF16", "datatype": "BF16", "shape": [-1, 2]} in metadata["inputs"]
    assert client.get_model_config("identity")["max_batch_size"] == 32
    statistics = client.get_inference_statistics("identity")["model_stats"][0]
    assert statistics["name"] == "identity"
    assert statistics["version"] == "v3"


def test_models_are_unloaded_and_loaded_at_run_time(client: Any) -> None:
    assert client.get_model_repository_index()[0]["state"] == "READY"
    client.unload_model("identity")
    assert client.get_model_repository_index()[0]["state"] == "UNAVAILABLE"
    assert not client.is_model_ready("identity")
    client.load_model("identity")
    assert client.is_model_ready("identity")


def test_errors_are_the_protocols_own(client: Any) -> None:
    tensor = triton.InferInput("nonsense", [1, 2], "FP32")
    tensor.set_data_from_numpy(VALUES["FP32"])
    with pytest.raises(InferenceServerException, match="the model takes `in_BOOL`"):
        client.infer("identity", [tensor])
    with pytest.raises(InferenceServerException, match="unknown model `absent`"):
        client.infer("absent", [tensor])


def test_asynchronous_calls_are_answered_each_with_its_own(serve: Any, iris_onnx: Path) -> None:
    running = serve(f"iris={iris_onnx}")
    url = f"127.0.0.1:{running.port}"
    with triton.InferenceServerClient(url, concurrency=8) as client:
        calls = []
        for petal in range(32):
            tensor = triton.InferInput("X", [1, 4], "FP32")
            row = np.array([[5.0, 3.0, petal / 5, 0.2]], np.float32)
            tensor.set_data_from_numpy(row)
            calls.append((row, client.async_infer("iris", [tensor])))
        for row, call in calls:
            alone = triton.InferInput("X", [1, 4], "FP32")
            alone.set_data_from_numpy(row)
            np.testing.assert_allclose(
                call.get_result().as_numpy("probabilities"),
                client.infer("iris", [alone]).as_numpy("probabilities"),
                rtol=1e-5,
            )
