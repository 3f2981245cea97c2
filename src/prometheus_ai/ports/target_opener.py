"""Opening targets that were added by command."""

from dataclasses import dataclass
from typing import Protocol

from prometheus_ai.domain.target import TargetRecord
from prometheus_ai.ports.driver import Driver
from prometheus_ai.ports.image_builder import ImageBuilder


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedTarget:
    """A target that can be used."""

    driver: Driver
    builder: ImageBuilder


class TargetOpener(Protocol):
    """Knows every kind of target."""

    def open(self, record: TargetRecord) -> OpenedTarget:
        """Open a target; one that cannot be reached now is opened all the same, and tried again.

        Raises:
            InvalidInput: the record's address or certificates are none.
        """
