"""Remembering answers until people say whether they were right."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from prometheus_ai.domain.answers import Answer, Feedback, Judged, KeptRequest, Matched


class AnswerLog(Protocol):
    """A bounded, durable memory of answers and feedback; safe to use from several threads.

    Losing its newest moments in a power cut is allowed; a death of the process loses nothing that a
    method returned for.
    """

    def add(self, backend: str, answers: Sequence[Answer], now: datetime) -> Matched:
        """Keep answers, and settle the feedback that waited for them.

        The oldest go when there are more than the bound.
        """

    def judge(self, backend: str, feedback: Sequence[Feedback], now: datetime) -> Matched:
        """Compare feedback with the answers it is about; keep what is about answers not known yet."""

    def accuracy(self, backend: str, since: datetime | None = None) -> tuple[Judged, ...]:
        """Return labelled and wrong answers of each release, by version."""

    def count(self, backend: str, version: str, outputs: Mapping[str, int], now: datetime) -> None:
        """Count answers by label in the hour of ``now``."""

    def outputs(
        self, backend: str, version: str, since: datetime, until: datetime
    ) -> Mapping[datetime, Mapping[str, int]]:
        """Return counts of answers by label, for each hour that begins in the span."""

    def scores(self, backend: str, version: str, limit: int) -> tuple[float, ...]:
        """Return the newest numeric labels of a release, for binning."""

    def keep(
        self,
        backend: str,
        requests: Sequence[KeptRequest],
        now: datetime,
        *,
        kept_max: int,
        kept_for: timedelta,
    ) -> None:
        """Keep requests to be sent again, numbered on; of a backend only the newest ``kept_max`` stay."""

    def kept(self, backend: str, after: int, limit: int, now: datetime) -> tuple[KeptRequest, ...]:
        """Return kept requests with a number above ``after``, oldest first; none whose time is over."""

    def kept_count(self, backend: str, after: int, now: datetime) -> int:
        """Return how many requests ``kept`` would give without a limit."""

    def drop_kept(self, now: datetime, of: Collection[str]) -> int:
        """Remove kept requests whose time is over, and those of all backends but ``of``; return how many."""

    def forget(self, before: datetime) -> int:
        """Remove all that is older; return how many rows went."""

    def close(self) -> None:
        """Release the file."""
