"""When the server looks for events, and when it sleeps."""

from prometheus_ai_runtime.sockets.busy_poll import BusyPoll, Events

BUSY_S = 50e-6
LOOK_S = 1e-6
EVENTS: Events = [(7, 1)]


class Kernel:
    """A clock and a poll: the next event comes a gap after the one before was taken."""

    def __init__(self) -> None:
        self.now = 0.0
        self.next_s = 0.0
        self.sleeps = 0
        self.looks = 0

    def clock(self) -> float:
        return self.now

    def poll(self, wait_s: float, _events_max: int) -> Events:
        if wait_s == 0:
            self.looks += 1
            self.now += LOOK_S
        elif self.next_s > self.now:
            self.sleeps += 1
            self.now = self.next_s if wait_s < 0 else min(self.next_s, self.now + wait_s)
        return EVENTS if self.now >= self.next_s else []


def course(gap_s: float, count: int, kernel: Kernel, waiting: BusyPoll) -> None:
    for _ in range(count):
        kernel.next_s = kernel.now + gap_s
        assert waiting.poll(-1, 10) == EVENTS


def started() -> tuple[Kernel, BusyPoll]:
    kernel = Kernel()
    return kernel, BusyPoll(kernel.poll, BUSY_S, kernel.clock)


def test_events_that_come_quickly_are_met_awake() -> None:
    kernel, waiting = started()
    course(20e-6, 100, kernel, waiting)
    assert kernel.sleeps < 30
    before = kernel.sleeps
    course(20e-6, 100, kernel, waiting)
    assert kernel.sleeps == before


def test_events_that_come_slowly_are_slept_for_at_once() -> None:
    kernel, waiting = started()
    course(0.005, 100, kernel, waiting)
    assert kernel.looks == 0


def test_a_quick_client_that_leaves_is_looked_for_no_longer_than_the_bound_a_few_times() -> None:
    kernel, waiting = started()
    course(20e-6, 100, kernel, waiting)
    before = kernel.looks
    course(0.005, 100, kernel, waiting)
    assert kernel.looks - before <= 3 * (BUSY_S / LOOK_S + 1)


def test_a_timer_is_not_slept_past() -> None:
    kernel, waiting = started()
    course(20e-6, 100, kernel, waiting)
    kernel.next_s = kernel.now + 10
    began = kernel.now
    assert waiting.poll(0.5, 10) == []
    assert kernel.now - began <= 0.5 + 2 * BUSY_S


def test_a_look_without_waiting_stays_one() -> None:
    kernel, waiting = started()
    kernel.next_s = 1.0
    assert waiting.poll(0, 10) == []
    assert (kernel.looks, kernel.sleeps) == (1, 0)
