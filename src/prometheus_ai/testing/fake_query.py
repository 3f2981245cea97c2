"""A metrics database that answers what a test put there."""

from prometheus_ai.domain.errors import PlatformError
from prometheus_ai.domain.evidence import Sample


class FakeQuery:
    """Keeps the promises of ``MetricQuery``: each query gives its sample, or raises its error."""

    def __init__(self) -> None:
        self.samples: dict[str, Sample | PlatformError] = {}
        self.asked: list[str] = []

    def ask(self, query: str) -> Sample:
        """Return what was put there."""
        self.asked.append(query)
        found = self.samples.get(query, Sample(problem="the query gives no series"))
        if isinstance(found, PlatformError):
            raise found
        return found

    def close(self) -> None:
        """Do nothing."""
