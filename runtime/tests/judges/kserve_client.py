"""Run by the KServe judge's own interpreter: its client, unchanged, against a server at argv[1]."""

import asyncio
import json
import sys

import numpy as np
from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceRESTClient, RESTConfig


async def main() -> None:
    url = sys.argv[1]
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    seen: dict[str, object] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model_ready": await client.is_model_ready(url, "iris"),
    }
    rows = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], np.float32)
    for binary in (False, True):
        tensor = InferInput("X", [2, 4], "FP32")
        tensor.set_data_from_numpy(rows, binary_data=binary)
        request = InferRequest(model_name="iris", infer_inputs=[tensor], request_id="ask-1")
        answer = await client.infer(url, request, model_name="iris")
        outputs = {o.name: o.as_numpy().tolist() for o in answer.outputs}
        seen[f"binary={binary}"] = {"id": answer.id, **outputs}
    sys.stdout.write(json.dumps(seen))


asyncio.run(main())
