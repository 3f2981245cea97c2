"""Run by the KServe judge's own interpreter: its clients, unchanged, against a server.

The first argument is the server's URL; the second, where there is one, its gRPC address.
"""

import asyncio
import json
import sys

import numpy as np
from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceGRPCClient, InferenceRESTClient, RESTConfig

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], np.float32)


async def main() -> None:
    url = sys.argv[1]
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    seen: dict[str, object] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model_ready": await client.is_model_ready(url, "iris"),
    }
    for binary in (False, True):
        tensor = InferInput("X", [2, 4], "FP32")
        tensor.set_data_from_numpy(ROWS, binary_data=binary)
        request = InferRequest(model_name="iris", infer_inputs=[tensor], request_id="ask-1")
        answer = await client.infer(url, request, model_name="iris")
        outputs = {o.name: o.as_numpy().tolist() for o in answer.outputs}
        seen[f"binary={binary}"] = {"id": answer.id, **outputs}
    if len(sys.argv) > 2:
        seen["grpc"] = await ask_grpc(sys.argv[2])
    sys.stdout.write(json.dumps(seen))


async def ask_grpc(address: str) -> dict[str, object]:
    async with InferenceGRPCClient(address) as client:
        seen: dict[str, object] = {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model_ready": await client.is_model_ready("iris"),
        }
        for binary in (False, True):
            tensor = InferInput("X", [2, 4], "FP32")
            tensor.set_data_from_numpy(ROWS, binary_data=binary)
            request = InferRequest(model_name="iris", infer_inputs=[tensor], request_id="ask-1")
            answer = await client.infer(request)
            outputs = {o.name: o.as_numpy().tolist() for o in answer.outputs}
            seen[f"binary={binary}"] = {"id": answer.id, **outputs}
    return seen


asyncio.run(main())
