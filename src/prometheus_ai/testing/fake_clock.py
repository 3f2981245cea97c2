"""A clock that moves only when a test moves it."""

import threading
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """Wall and monotonic time in a test's hands; ``wait`` moves both."""

    def __init__(self, start: datetime = START) -> None:
        self._lock = threading.Lock()
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the wall time."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """Return seconds since the clock was made."""
        with self._lock:
            return self._monotonic

    def wait(self, seconds: float) -> None:
        """Let that much time pass at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move both times forward.

        Raises:
            ValueError: ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError("monotonic time never goes back; use step_wall")
        with self._lock:
            self._now += timedelta(seconds=seconds)
            self._monotonic += seconds

    def step_wall(self, seconds: float) -> None:
        """Step the wall time alone, backwards when negative, as a corrected machine clock does."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
