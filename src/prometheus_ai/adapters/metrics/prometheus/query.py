"""``/api/v1/query``: one question, one number."""

import json
import math
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx

from prometheus_ai.domain.errors import InvalidInput, Unavailable
from prometheus_ai.domain.evidence import Sample

TIMEOUT_S = 5.0
STALE_S = 60.0
"""A series without a value for this long has none."""
ANSWER_BYTES_MAX = 1_000_000


class PrometheusQuery:
    """Keeps the promises of ``MetricQuery`` over the HTTP API of Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/query"
        self._http = httpx.Client(timeout=TIMEOUT_S, trust_env=False)

    def ask(self, query: str) -> Sample:
        """Return what a query gives now; see ``MetricQuery``."""
        asked = {
            "query": query,
            "timeout": f"{TIMEOUT_S:g}s",
            "lookback_delta": f"{STALE_S:g}s",
        }
        try:
            status, content = self._post(asked)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"{self._url} cannot be asked: {error!r}",
                hint="check PAI_PROMETHEUS_URL, and that the server runs",
            ) from error
        try:
            document = json.loads(content)
            failed = document["status"] != "success"
            words = str(document.get("error", ""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unavailable(
                f"{self._url} answered {status}, and not as Prometheus does",
                hint="PAI_PROMETHEUS_URL is the address before /api/v1",
            ) from error
        if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}:
            raise InvalidInput(f"the query was not understood: {words[:500]}")
        if failed or status != HTTPStatus.OK:
            raise Unavailable(f"{self._url} answered {status}: {words[:500]}")
        return _sample(document["data"])

    def close(self) -> None:
        """Release connections."""
        self._http.close()

    def _post(self, asked: Mapping[str, str]) -> tuple[int, bytes]:
        with self._http.stream("POST", self._url, data=asked) as answer:
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > ANSWER_BYTES_MAX:
                    raise Unavailable(
                        f"{self._url}: an answer of more than {ANSWER_BYTES_MAX} bytes",
                        hint="let the query give one number: sum, avg or max over its series",
                    )
            return answer.status_code, bytes(content)


def _sample(data: Mapping[str, Any]) -> Sample:
    kind, result = data["resultType"], data["result"]
    if kind == "vector":
        if not result:
            return Sample(problem="the query gives no series")
        if len(result) > 1:
            return Sample(problem=f"the query gives {len(result)} series; aggregate them to one")
        at, text = result[0]["value"]
    elif kind == "scalar":
        at, text = result
    else:
        return Sample(problem=f"the query gives a {kind}, not one number")
    if abs(time.time() - float(at)) > STALE_S:
        return Sample(problem=f"its value is {time.time() - float(at):.0f} s old")
    value = float(text)
    if not math.isfinite(value):
        return Sample(problem=f"the query gives {text}")
    return Sample(value=value)
