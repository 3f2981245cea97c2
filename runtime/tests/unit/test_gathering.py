"""Waiting for clients that return together: only after several, only where it pays."""

import pytest

from prometheus_ai_runtime.batching.curve import LatencyCurve
from prometheus_ai_runtime.batching.gathering import Gathering

SAVING_S = 0.001


def begun(answered: int, queued: int, saving_s: float = SAVING_S) -> Gathering:
    gathering = Gathering()
    gathering.plan(answered, queued, rows_max=32, saving_s=saving_s)
    gathering.open(0.0)
    return gathering


def test_those_answered_are_waited_for_until_all_are_back() -> None:
    gathering = begun(answered=16, queued=0)
    assert gathering.waits(0.0004, queued=15)
    assert not gathering.waits(0.0005, queued=16)


def test_no_longer_than_a_call_of_their_own_would_cost() -> None:
    gathering = begun(answered=16, queued=1)
    assert gathering.waits(SAVING_S * 0.99, queued=16)
    assert not gathering.waits(SAVING_S, queued=16)
    assert not gathering.waits(SAVING_S, queued=16)


def test_two_milliseconds_are_the_most() -> None:
    assert not begun(answered=16, queued=0, saving_s=10.0).waits(0.002, queued=15)


@pytest.mark.parametrize(("answered", "queued"), [(1, 0), (1, 1), (32, 1), (20, 13)])
def test_one_alone_and_more_than_a_batch_are_not_waited_for(answered: int, queued: int) -> None:
    assert not begun(answered, queued).waits(0.0, queued=1)


def test_where_nobody_comes_back_waiting_is_given_up_and_tried_again() -> None:
    gathering = Gathering()
    waited = []
    for _ in range(64):
        waited.append(gathering.plan(8, 0, rows_max=32, saving_s=SAVING_S))
        gathering.open(0.0)
        gathering.waits(SAVING_S, queued=0)
    assert all(waited[:5])
    assert 1 <= sum(waited[32:]) <= 4


def test_where_they_come_back_waiting_goes_on() -> None:
    gathering = Gathering()
    for _ in range(64):
        assert gathering.plan(8, 2, rows_max=32, saving_s=SAVING_S)
        gathering.open(0.0)
        assert not gathering.waits(SAVING_S / 2, queued=10)


def test_what_a_second_call_costs_is_known_although_all_batches_are_alike() -> None:
    curve = LatencyCurve()
    for rows in (1, 1, 1, 32, 32, 32):
        curve.observe(rows, 0.002 + rows * 0.001)
    for _ in range(500):
        curve.observe(16, 0.018)
    assert curve.saving_s == pytest.approx(0.002, rel=0.1)
