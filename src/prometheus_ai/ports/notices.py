"""Notices that a replica's machine is about to go away."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol


class Notices(Protocol):
    """Holds notices by replica id. They survive a restart of the control plane."""

    def read(self) -> Mapping[str, datetime]:
        """Return by when each noticed replica will be gone."""

    def put(self, replica_id: str, by: datetime) -> None:
        """Keep a notice; one that is there already is replaced.

        Raises:
            Unavailable: it cannot be kept.
        """
