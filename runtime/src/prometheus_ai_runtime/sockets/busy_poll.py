"""Waiting for events without sleeping, while they come so quickly that sleeping would cost more.

A lone client that asks again as soon as it is answered finds the server asleep each time, and waking
a core takes longer than a small answer does, most of all on a virtual machine.
To look for as long as a sleep costs is never worse than twice the best choice in hindsight
(Karlin, Manasse, McGeoch, Owicki: Competitive randomized algorithms for nonuniform problems, 1994);
to look only when events came quickly of late makes it rarely worse at all.
"""

from collections.abc import Callable
from time import perf_counter

Events = list[tuple[int, int]]
Poll = Callable[[float, int], Events]
"""Waits so many seconds at most, for ever if negative, for so many events at most."""

_GAP_SHARE = 0.25
"""What the newest gap between events weighs in what the next is expected to be."""
_GAP_S_MAX = 0.01
"""Longer gaps count as this, so that a few quick events are enough for the next to be expected."""


class BusyPoll:
    """Looks for events a while before it sleeps, if they are expected that soon."""

    __slots__ = ("_busy_s", "_clock", "_gap_s", "_poll")

    def __init__(
        self, poll: Poll, busy_s: float, clock: Callable[[], float] = perf_counter
    ) -> None:
        self._poll = poll
        self._busy_s = busy_s
        self._clock = clock
        self._gap_s = _GAP_S_MAX

    def poll(self, wait_s: float, events_max: int) -> Events:
        """Wait like the poll that was given."""
        if not wait_s:
            return self._poll(wait_s, events_max)
        began = self._clock()
        found: Events = []
        # A sleep makes a gap longer by the waking, hence twice as long a gap is still worth a try.
        if self._gap_s < 2 * self._busy_s:
            end = began + self._busy_s
            while not found and self._clock() < end:
                found = self._poll(0, events_max)
        if not found:
            found = self._poll(wait_s, events_max)
        gap_s = min(self._clock() - began, _GAP_S_MAX)
        self._gap_s += (gap_s - self._gap_s) * _GAP_SHARE
        return found
