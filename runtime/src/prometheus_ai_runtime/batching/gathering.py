"""Whether a free engine waits some microseconds for clients that were just answered. Pure; takes ``now``.

Clients that were answered together tend to return together.
One call for all of them saves what a second call would cost beside its rows, so that much may be waited.
"""

_WAIT_S_MAX = 0.002
_LEARNING = 0.1
_SHARE_MIN = 0.25
_TRIED_EVERY = 16


class Gathering:
    """Remembers how many of those answered came back in time, and stops waiting where few do."""

    __slots__ = ("_answered", "_before", "_given_up", "_share", "_target", "_until", "_wait_s")

    def __init__(self) -> None:
        self._share = 1.0
        """Of the rows answered, how many come back while they are waited for."""
        self._given_up = 0
        self._answered = self._before = self._target = 0
        self._wait_s = self._until = 0.0

    def plan(self, answered: int, queued: int, rows_max: int, saving_s: float) -> bool:
        """Decide whether those about to be answered are worth waiting for; one alone never is.

        ``queued`` rows wait already; ``saving_s`` is what one call in place of two saves.
        """
        self._target = 0
        if answered < 2 or saving_s <= 0.0 or (queued and queued + answered > rows_max):
            return False
        if self._share < _SHARE_MIN:
            self._given_up += 1
            if self._given_up % _TRIED_EVERY:
                return False
        self._answered, self._before = answered, queued
        self._target = min(rows_max, queued + answered)
        self._wait_s = min(_WAIT_S_MAX, saving_s)
        return True

    def open(self, now: float) -> None:
        """The answers are out: what was planned begins."""
        self._until = now + self._wait_s

    def waits(self, now: float, queued: int) -> bool:
        """Whether to wait on, with ``queued`` rows there."""
        if not self._target:
            return False
        if now < self._until and queued < self._target:
            return True
        came = min(1.0, (queued - self._before) / self._answered)
        # Whoever comes long after tells nothing of those who were waited for.
        if queued >= self._target or now < self._until + self._wait_s:
            self._share += _LEARNING * (came - self._share)
        self._target = 0
        return False
