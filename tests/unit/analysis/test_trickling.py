"""Labels that come one by one, each of one side alone."""

import random
import statistics

from prometheus_ai.analysis.accuracy import AccuracyState, log_worse, observe_labels
from prometheus_ai.analysis.compare import bars_of
from prometheus_ai.analysis.ratio import Counts
from prometheus_ai.domain.policy import GatesSpec

BAR = bars_of(GatesSpec(), "accuracy").fail


def labels_until_worse(seed: int, rates: tuple[float, float], share: float, most: int) -> int:
    """Return after how many labels the candidate is called worse; ``most`` when it never is."""
    chance = random.Random(seed)
    state = AccuracyState()
    for number in range(1, most):
        if chance.random() < share:
            block = Counts(n=1, a=int(chance.random() < rates[0]))
        else:
            block = Counts(m=1, b=int(chance.random() < rates[1]))
        state = observe_labels(state, block, 0.02, 0.1)
        if log_worse(state) >= BAR:
            return number
    return most


def test_a_loss_of_twenty_points_is_found_within_500_labels() -> None:
    for share in (0.25, 0.5):
        found = [labels_until_worse(seed, (0.3, 0.1), share, 1500) for seed in range(40)]
        assert statistics.median(found) <= 500


def test_an_equal_release_is_rarely_called_worse() -> None:
    found = [labels_until_worse(seed, (0.1, 0.1), 0.25, 1000) for seed in range(60)]
    assert sum(number < 1000 for number in found) <= 3


def test_labels_of_one_side_alone_wait() -> None:
    state = observe_labels(AccuracyState(), Counts(n=5, a=5), 0.02, 0.1)
    assert log_worse(state) == 0
    assert state.waiting == Counts(n=5, a=5)
    state = observe_labels(state, Counts(m=5, b=0), 0.02, 0.1)
    assert state.waiting == Counts()
    assert state.judged == state.total == Counts(n=5, a=5, m=5, b=0)
    assert log_worse(state) > 0
