"""Where traffic measurements come from."""

from typing import Protocol

from prometheus_ai.domain.window import CounterSnapshot


class MetricSource(Protocol):
    """Reads cumulative counters of every release at the gateway."""

    def read(self) -> CounterSnapshot:
        """Return one consistent reading.

        Raises:
            Unavailable: the gateway cannot be reached; missing data is never zero.
        """
