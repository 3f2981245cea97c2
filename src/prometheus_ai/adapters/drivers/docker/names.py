"""How containers, volumes and images of one installation are named and found on an engine; pure."""

from typing import Any

from prometheus_ai.domain.image import LABEL_HOME, LABEL_REPLICA

STOPPING = ".stopping"
"""Ends the name of a container that was asked to stop: the engine itself remembers it for the next driver."""
EMPTY_IMAGE = "pai/empty:1"
"""What the holder of a model volume is made from; it never runs."""


def container_name(home: str, replica_id: str) -> str:
    """Return the name of a replica's container; several installations may share an engine."""
    return f"{replica_id}.{home}"


def network_name(home: str) -> str:
    """Return the network that the replicas of an installation are on."""
    return f"pai-{home}"


def own_filter(home: str, replica_id: str | None = None) -> dict[str, Any]:
    """Return the filter that finds an installation's replicas, or one of them."""
    if replica_id is None:
        return {"label": [f"{LABEL_HOME}={home}", LABEL_REPLICA]}
    return {"label": [f"{LABEL_HOME}={home}", f"{LABEL_REPLICA}={replica_id}"]}


def is_stopping(name: str) -> bool:
    """Whether a container was asked to stop, by its name."""
    return name.endswith(STOPPING)
