"""Asking a model server for ``/v2/models/NAME/profile``; see the wire page."""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.domain.profile import ModelProfile
from prometheus_ai.domain.replica import Endpoint

ANSWER_S = 3.0
ANSWER_BYTES_MAX = 2**20


class ProfileClient:
    """Keeps the promises of ``ProfileSource`` over HTTP, one connection for each question."""

    def profile(self, endpoint: Endpoint, name: str) -> ModelProfile:
        """Return the profile of a model on one replica; see ``ProfileSource``."""
        connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=ANSWER_S)
        try:
            connection.request("GET", f"/v2/models/{quote(name, safe='')}/profile")
            answer = connection.getresponse()
            body = json.loads(answer.read(ANSWER_BYTES_MAX))
            return _profile(body)
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            raise Unavailable(
                f"the replica on {endpoint.host}:{endpoint.port} does not say what it measured: {error!r}",
                hint="try again once it is ready",
            ) from error
        finally:
            connection.close()


def _profile(body: Mapping[str, Any]) -> ModelProfile:
    sizes = body["curve"]["sizes"]
    curve: list[tuple[int, float]] = []
    most_s = 0.0
    for size in sizes:
        # More rows never take less time; where few batches say so, it is chance.
        most_s = max(most_s, float(size["mean_us"]) / 1e6, 1e-9)
        curve.append((int(size["rows"]), most_s))
    return ModelProfile(
        curve=tuple(curve),
        batches=sum(int(size["batches"]) for size in sizes),
        memory_bytes=int(body.get("memory_bytes") or 0),
    )
