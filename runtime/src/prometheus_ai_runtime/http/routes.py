"""Every endpoint on its path."""

from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.http.door import Door
from prometheus_ai_runtime.http.infer import InferEndpoint
from prometheus_ai_runtime.http.inspection import Inspection, Recent
from prometheus_ai_runtime.http.predict import PredictEndpoint
from prometheus_ai_runtime.http.repository import Repository
from prometheus_ai_runtime.http.router import Router


def add_routes(router: Router, host: ModelHost, door: Door) -> None:
    """Put all endpoints on the router."""
    inspection = Inspection(host, door)
    inspection.add_routes(router)
    Recent(host, inspection).add_routes(router)
    Repository(host).add_routes(router)
    infer = InferEndpoint(host)
    router.model("/infer", post=infer.infer)
    router.model("/infer_stream", post=infer.stream)
    predict = PredictEndpoint(host)
    router.named("/predict", post=predict)
    router.model("/predict", post=predict)
    # Through a gateway that takes NAME off the path.
    router.fixed("/predict", post=predict)
