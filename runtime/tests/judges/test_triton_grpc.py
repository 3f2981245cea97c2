"""The Triton client, unchanged, against the server's gRPC side."""

import asyncio
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import ml_dtypes
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

PATIENCE_S = 30.0
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
IDENTITY = f'''
class Identity:
    """Gives every input back."""

    signature = {{
        "inputs": [{{"name": f"in_{{d}}", "datatype": d, "shape": [-1, 2]}} for d in {list(VALUES)}],
        "outputs": [{{"name": f"out_{{d}}", "datatype": d, "shape": [-1, 2]}} for d in {list(VALUES)}],
    }}

    def predict(self, batch):
        return {{name.replace("in_", "out_"): values for name, values in batch.items()}}
'''
COUNTER = """
import time
from collections.abc import Callable, Iterator


class Counter:
    def predict(self, upto: list[int]) -> list[int]:
        time.sleep(upto[0] / 1000)
        return upto

    def stream(self, upto: list[int]) -> Iterator[list[int]]:
        for number in range(upto[0]):
            yield [number]
"""


@pytest.fixture
def identity(serve: Any, python_model: Any) -> Iterator[Any]:
    path = python_model(IDENTITY)
    running = serve("--grpc-port", "0", name="identity", version="v3", path=path, engine="python")
    with triton.InferenceServerClient(f"127.0.0.1:{running.grpc_port}") as client:
        yield client


@pytest.fixture
def counter(serve: Any, python_model: Any) -> Any:
    return serve(f"counter={python_model(COUNTER)}", "--grpc-port", "0")


@pytest.fixture
def iris(serve: Any, iris_onnx: Path) -> Any:
    return serve(f"iris={iris_onnx}", "--grpc-port", "0")


def _inputs() -> list[Any]:
    inputs = []
    for datatype, value in VALUES.items():
        tensor = triton.InferInput(f"in_{datatype}", list(value.shape), datatype)
        inputs.append(tensor.set_data_from_numpy(value))
    return inputs


def _row(values: NDArray[Any]) -> list[Any]:
    tensor = triton.InferInput("X", list(values.shape), "FP32")
    return [tensor.set_data_from_numpy(values.astype(np.float32))]


def test_every_datatype_comes_back_as_it_went(identity: Any) -> None:
    answer = identity.infer("identity", _inputs(), model_version="v3", request_id="ask-1")
    assert answer.get_response().id == "ask-1"
    for datatype, value in VALUES.items():
        np.testing.assert_array_equal(answer.as_numpy(f"out_{datatype}"), value)


def test_only_the_outputs_asked_for_come_in_the_order_asked(identity: Any) -> None:
    wanted = [triton.InferRequestedOutput(name) for name in ("out_FP64", "out_BOOL")]
    answer = identity.infer("identity", _inputs(), outputs=wanted)
    assert [each.name for each in answer.get_response().outputs] == ["out_FP64", "out_BOOL"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_messages_are_understood(identity: Any, coding: str) -> None:
    answer = identity.infer("identity", _inputs(), compression_algorithm=coding)
    np.testing.assert_array_equal(answer.as_numpy("out_INT64"), VALUES["INT64"])


def test_the_client_reads_health_metadata_configuration_and_statistics(identity: Any) -> None:
    assert identity.is_server_live()
    assert identity.is_server_ready()
    assert identity.is_model_ready("identity", "v3")
    assert identity.get_server_metadata().name == "pai-runtime"
    metadata = identity.get_model_metadata("identity", "v3", as_json=True)
    assert metadata["versions"] == ["v3"]
    assert {"name": "in_BF16", "datatype": "BF16", "shape": ["-1", "2"]} in metadata["inputs"]
    config = identity.get_model_config("identity", as_json=True)["config"]
    assert config["max_batch_size"] == 32
    assert config["input"][0] == {"name": "in_BOOL", "data_type": "TYPE_BOOL", "dims": ["2"]}
    identity.infer("identity", _inputs())
    (statistics,) = identity.get_inference_statistics().model_stats
    assert (statistics.name, statistics.version) == ("identity", "v3")
    assert statistics.inference_stats.success.count == 1


def test_models_are_unloaded_and_loaded_at_run_time(identity: Any) -> None:
    assert identity.get_model_repository_index().models[0].state == "READY"
    identity.unload_model("identity")
    assert identity.get_model_repository_index().models[0].state == "UNAVAILABLE"
    assert not identity.is_model_ready("identity")
    identity.load_model("identity")
    assert identity.is_model_ready("identity")
    with pytest.raises(InferenceServerException, match="set `repository`"):
        identity.load_model("identity", config='{"path": "/etc/passwd"}')


@pytest.mark.parametrize(
    ("model", "values", "code", "says"),
    [
        ("absent", np.zeros((1, 4)), "NOT_FOUND", "unknown model `absent`"),
        ("iris", np.zeros((1, 5)), "INVALID_ARGUMENT", r"expected shape \[-1, 4\]"),
        ("iris", np.full((2, 4), np.nan), "INVALID_ARGUMENT", "row 0 has NaN"),
    ],
)
def test_errors_have_their_codes_and_say_what_is_wrong(
    iris: Any, model: str, values: Any, code: str, says: str
) -> None:
    with (
        triton.InferenceServerClient(f"127.0.0.1:{iris.grpc_port}") as client,
        pytest.raises(InferenceServerException, match=says) as error,
    ):
        client.infer(model, _row(values))
    assert error.value.status() == f"StatusCode.{code}"


def test_a_deadline_that_passes_is_told_as_such(counter: Any) -> None:
    tensor = triton.InferInput("upto", [1], "INT64")
    tensor.set_data_from_numpy(np.array([2000]))
    with (
        triton.InferenceServerClient(f"127.0.0.1:{counter.grpc_port}") as client,
        pytest.raises(InferenceServerException) as error,
    ):
        client.infer("counter", [tensor], timeout=100_000)
    assert error.value.status() == "StatusCode.DEADLINE_EXCEEDED"


def test_cancelled_calls_are_counted_as_cancelled(counter: Any) -> None:
    tensor = triton.InferInput("upto", [1], "INT64")
    tensor.set_data_from_numpy(np.array([500]))
    answers: queue.Queue[Any] = queue.Queue()
    with triton.InferenceServerClient(f"127.0.0.1:{counter.grpc_port}") as client:
        calls = [
            client.async_infer("counter", [tensor], lambda result, error: answers.put(error))
            for _ in range(2)
        ]
        _wait(lambda: counter.ask("/v2/health/state").json["requests_active"] == 2)
        for call in calls:
            call.cancel()
        for _ in calls:
            assert answers.get(timeout=PATIENCE_S).status() == "StatusCode.CANCELLED"
        _wait(lambda: _requests(counter)["cancelled"] == 2)
        client.infer("counter", [tensor.set_data_from_numpy(np.array([1]))])


def _requests(server: Any) -> Any:
    return server.ask("/metrics.json").json["models"][0]["requests"]


def _wait(claim: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.02)


def test_many_calls_on_one_channel_get_each_its_own_answer(iris: Any) -> None:
    rows = [np.array([[5.0, 3.0, petal / 50, 0.2]]) for petal in range(300)]

    async def ask() -> list[Any]:
        async with triton_aio.InferenceServerClient(f"127.0.0.1:{iris.grpc_port}") as client:
            calls = [
                client.infer("iris", _row(row), request_id=str(i)) for i, row in enumerate(rows)
            ]
            return list(await asyncio.gather(*calls))

    answers = asyncio.run(ask())
    with triton.InferenceServerClient(f"127.0.0.1:{iris.grpc_port}") as client:
        whole = client.infer("iris", _row(np.concatenate(rows))).as_numpy("probabilities")
    for number, answer in enumerate(answers):
        assert answer.get_response().id == str(number)
        np.testing.assert_allclose(answer.as_numpy("probabilities")[0], whole[number], rtol=1e-5)


def test_megabytes_pass_in_both_directions(iris: Any) -> None:
    rows = np.random.default_rng(0).random((200_000, 4))
    with triton.InferenceServerClient(f"127.0.0.1:{iris.grpc_port}") as client:
        answer = client.infer("iris", _row(rows))
        assert answer.as_numpy("probabilities").shape == (200_000, 3)
        with pytest.raises(InferenceServerException, match="more than 16777216") as error:
            client.infer("iris", _row(np.zeros((1 << 21, 4))))
    assert error.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_a_stream_answers_in_order_and_errors_do_not_end_it(iris: Any) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    with triton.InferenceServerClient(f"127.0.0.1:{iris.grpc_port}") as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        for number in range(10):
            width = 5 if number == 4 else 4
            client.async_stream_infer("iris", _row(np.ones((1, width))), request_id=str(number))
        for number in range(10):
            result, error = answers.get(timeout=PATIENCE_S)
            if number == 4:
                assert "expected shape" in str(error)
            else:
                assert result.get_response().id == str(number)
        client.stop_stream()


def test_a_model_that_yields_streams_its_pieces(counter: Any) -> None:
    tensor = triton.InferInput("upto", [1], "INT64")
    tensor.set_data_from_numpy(np.array([200]))
    answers: queue.Queue[Any] = queue.Queue()
    with triton.InferenceServerClient(f"127.0.0.1:{counter.grpc_port}") as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer("counter", [tensor], enable_empty_final_response=True)
        for number in range(200):
            result, error = answers.get(timeout=PATIENCE_S)
            assert error is None
            assert result.as_numpy("output").tolist() == [number]
        result, _ = answers.get(timeout=PATIENCE_S)
        assert result.get_response().parameters["triton_final_response"].bool_param
        client.stop_stream()


def test_answers_carry_their_context_in_trailers(iris: Any) -> None:
    row = _row(np.ones((1, 4)))[0]
    request = triton.service_pb2.ModelInferRequest(model_name="iris")
    request.inputs.append(row._get_tensor())
    request.raw_input_contents.append(row._get_content())
    with grpc.insecure_channel(f"127.0.0.1:{iris.grpc_port}") as channel:
        stub = triton.service_pb2_grpc.GRPCInferenceServiceStub(channel)
        _, call = stub.ModelInfer.with_call(request, metadata=[("x-request-id", "abc")])
        trailers = dict(call.trailing_metadata())
    assert trailers["x-pai-release"] == "iris/1"
    assert trailers["x-pai-batch-rows"] == "1"
    assert trailers["x-request-id"] == "abc"
    assert {"x-pai-queue-us", "x-pai-compute-us", "x-pai-throttled-us"} <= set(trailers)


def test_typed_requests_get_typed_answers(iris: Any) -> None:
    request = triton.service_pb2.ModelInferRequest(model_name="iris")
    tensor = request.inputs.add(name="X", datatype="FP32", shape=[1, 4])
    tensor.contents.fp32_contents.extend([5.1, 3.5, 1.4, 0.2])
    with grpc.insecure_channel(f"127.0.0.1:{iris.grpc_port}") as channel:
        stub = triton.service_pb2_grpc.GRPCInferenceServiceStub(channel)
        answer = stub.ModelInfer(request)
    label, probabilities = answer.outputs
    assert list(label.contents.int64_contents) == [0]
    assert len(probabilities.contents.fp32_contents) == 3


def test_the_standard_health_check_answers(iris: Any) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{iris.grpc_port}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"") == b"\x08\x01"
        assert check(b"\x0a\x04iris") == b"\x08\x01"


def test_a_server_that_stops_finishes_what_it_took(counter: Any) -> None:
    tensor = triton.InferInput("upto", [1], "INT64")
    tensor.set_data_from_numpy(np.array([700]))
    answers: queue.Queue[Any] = queue.Queue()
    with triton.InferenceServerClient(f"127.0.0.1:{counter.grpc_port}") as client:
        client.async_infer("counter", [tensor], lambda result, error: answers.put((result, error)))
        _wait(lambda: counter.ask("/v2/health/state").json["requests_active"] == 1)
        assert counter.stop() == 0
        result, error = answers.get(timeout=PATIENCE_S)
    assert error is None
    assert result.as_numpy("output").tolist() == [700]
