"""The machine's clock."""

import time
from datetime import UTC, datetime


class SystemClock:
    """Wall time in UTC and monotonic time of this machine."""

    def now(self) -> datetime:
        """Return the current UTC time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait that long."""
        time.sleep(seconds)
