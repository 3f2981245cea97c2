"""Asking a metrics database."""

from typing import Protocol

from prometheus_ai.domain.evidence import Sample


class MetricQuery(Protocol):
    """Answers queries with one number; safe to use from several threads."""

    def ask(self, query: str) -> Sample:
        """Return what a query gives now; a sample without a value says why there is none.

        Raises:
            Unavailable: the database cannot be reached, or does not answer in time.
            InvalidInput: it does not understand the query; says so in its own words.
        """

    def close(self) -> None:
        """Release connections."""
