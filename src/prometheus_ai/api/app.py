"""The application: routes under ``/api/v1``, errors in one shape, a guard around everything."""

from collections.abc import Collection
from typing import Any

from anyio import CapacityLimiter
from fastapi import FastAPI

from prometheus_ai import __version__
from prometheus_ai.api import (
    administration,
    backends,
    bundles,
    containers,
    deploys,
    errors,
    gate,
    records,
    rollouts,
)
from prometheus_ai.api.follow import Streams
from prometheus_ai.api.guard import LOOPBACK_HOSTS, Guard
from prometheus_ai.api.uploads import UPLOADS_MAX
from prometheus_ai.control.control_plane import ControlPlane

PREFIX = "/api/v1"
DESCRIPTION = """Deploy, route, scale, watch and roll back AI backends.

Send a token with every request: `Authorization: Bearer TOKEN`.
Errors are `{"error": {"code", "message", "hint", "problems"}}`; codes are stable.
"""


def create_app(control: ControlPlane, *, hosts: Collection[str] | None = LOOPBACK_HOSTS) -> FastAPI:
    """Return the API over a control plane; ``hosts`` are the names that it may be addressed by, None for any."""
    app = _application()
    app.state.control = control
    app.state.streams = Streams()
    app.state.uploads = CapacityLimiter(UPLOADS_MAX)
    app.add_middleware(Guard, hosts=hosts)
    return app


def create_schema() -> dict[str, Any]:
    """Return the OpenAPI description."""
    return _application().openapi()


def _application() -> FastAPI:
    app = FastAPI(
        title="PROMETHEUS",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    for module in (backends, rollouts, deploys, containers, gate, bundles, records, administration):
        app.include_router(module.router, prefix=PREFIX, responses=errors.ERRORS)
    app.include_router(administration.open_router)
    errors.install(app)
    return app
