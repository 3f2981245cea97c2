"""How often the tests are wrong, and how soon they are right: by simulation, looking all the time."""

import math
from itertools import pairwise

import numpy as np
import pytest

from prometheus_ai.analysis.accuracy import AccuracyState, log_not_worse, log_worse, observe_labels
from prometheus_ai.analysis.compare import bars_of
from prometheus_ai.analysis.means import MeanState, observe_means
from prometheus_ai.analysis.rate import log_above, log_below
from prometheus_ai.analysis.ratio import (
    Counts,
    RatioState,
    log_harm,
    log_safety,
    observe_counts,
    restart_step,
)
from prometheus_ai.analysis.sharing import ShareState, observe_share, share_mismatch
from prometheus_ai.domain.evidence import Moments
from prometheus_ai.domain.policy import GatesSpec

GATES = GatesSpec()
ERRORS = bars_of(GATES, "errors")
LABELS = bars_of(GATES, "accuracy")
NEVER = math.inf


def judge_counts(
    ours: np.ndarray, theirs: np.ndarray, n: np.ndarray, m: np.ndarray
) -> tuple[float, float]:
    """Return after how many candidate requests a run failed and passed, looking after every interval."""
    state = RatioState()
    failed = passed = NEVER
    seen = 0
    for look, (a, b, n_i, m_i) in enumerate(
        zip(ours.tolist(), theirs.tolist(), n.tolist(), m.tolist(), strict=True)
    ):
        if look and n_i != n[look - 1]:
            state = restart_step(state)
        state = observe_counts(state, Counts(n=n_i, a=a, m=m_i, b=b), 1.1, 2.0)
        seen += n_i
        if log_harm(state) >= ERRORS.fail:
            failed = seen
            break
        if passed is NEVER and log_safety(state) >= ERRORS.passing:
            passed = seen
    return failed, passed


def runs(
    rates: tuple[float, float], interval: int, shares: list[float], looks: int, count: int
) -> list[tuple[float, float]]:
    rng = np.random.default_rng(20_260_101)
    n = np.repeat([round(interval * share) for share in shares], looks)
    m = interval - n
    ours = rng.binomial(n, rates[0], (count, len(n)))
    theirs = rng.binomial(m, rates[1], (count, len(m)))
    return [judge_counts(a, b, n, m) for a, b in zip(ours, theirs, strict=True)]


STEPS = [0.05, 0.1, 0.25, 0.5]


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05])
def test_a_harmless_canary_is_rarely_rolled_back(rate: float) -> None:
    """Errors alone may use 40 % of the 5 % that all gates share."""
    results = runs((rate, rate), 400, STEPS, 25, 300)
    assert sum(failed < NEVER for failed, _ in results) / len(results) <= 0.02


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_one_to_three_percent_is_seen_within_600_canary_requests(share: float) -> None:
    results = runs((0.03, 0.01), 400, [share], 100, 150)
    assert np.median([failed for failed, _ in results]) <= 600


def test_a_canary_that_only_fails_is_seen_at_once() -> None:
    results = runs((1.0, 0.001), 50, [0.06], 20, 100)
    assert max(failed for failed, _ in results) <= 6


def test_a_harmful_canary_rarely_passes() -> None:
    results = runs((0.02, 0.01), 400, STEPS, 30, 200)
    wrong = [passed < failed for failed, passed in results if passed < NEVER]
    assert sum(wrong) / len(results) <= 0.05


def test_an_equal_canary_passes() -> None:
    results = runs((0.01, 0.01), 400, [0.1], 100, 100)
    assert np.median([passed for _, passed in results]) <= 2000


def test_good_behaviour_does_not_hide_a_late_turn_for_the_worse() -> None:
    rng = np.random.default_rng(7)
    found = []
    for _ in range(100):
        state = RatioState()
        for _ in range(200):
            counts = Counts(
                n=40, a=int(rng.binomial(40, 0.01)), m=360, b=int(rng.binomial(360, 0.01))
            )
            state = observe_counts(state, counts, 1.1, 2.0)
        state = restart_step(state)
        seen = 0
        while log_harm(state) < ERRORS.fail and seen < 4000:
            counts = Counts(
                n=40, a=int(rng.binomial(40, 0.05)), m=360, b=int(rng.binomial(360, 0.01))
            )
            state = observe_counts(state, counts, 1.1, 2.0)
            seen += 40
        found.append(seen)
    assert np.median(found) <= 400


def labels(
    wrong: tuple[float, float], share: float, total: int, count: int
) -> list[tuple[float, float]]:
    """Return after how many labels, on both sides together, each run failed and passed."""
    rng = np.random.default_rng(3)
    results = []
    block = 10
    for _ in range(count):
        state = AccuracyState()
        failed = passed = NEVER
        for seen in range(block, total + 1, block):
            n = int(rng.binomial(block, share))
            found = Counts(
                n=n, a=int(rng.binomial(n, wrong[0])),
                m=block - n, b=int(rng.binomial(block - n, wrong[1])),
            )  # fmt: skip
            state = observe_labels(state, found, 0.02, 0.1)
            if log_worse(state) >= LABELS.fail:
                failed = seen
                break
            if passed is NEVER and log_not_worse(state) >= LABELS.passing:
                passed = seen
        results.append((failed, passed))
    return results


@pytest.mark.parametrize("wrong", [0.05, 0.1, 0.3])
def test_twenty_points_of_accuracy_are_missed_within_500_labels(wrong: float) -> None:
    """Labels of both versions count; a quarter of the traffic, or a shadow, gives the candidate its share."""
    results = labels((wrong + 0.2, wrong), 0.25, 1000, 80)
    assert np.median([failed for failed, _ in results]) <= 500


@pytest.mark.parametrize("wrong", [0.02, 0.1, 0.4])
def test_an_equal_model_is_rarely_called_worse(wrong: float) -> None:
    results = labels((wrong, wrong), 0.3, 2000, 100)
    assert sum(failed < NEVER for failed, _ in results) / len(results) <= 0.02


def test_the_tolerated_loss_of_accuracy_is_rarely_called_worse() -> None:
    results = labels((0.12, 0.1), 0.5, 2000, 100)
    assert sum(failed < NEVER for failed, _ in results) / len(results) <= 0.02


def test_a_harmful_loss_of_accuracy_rarely_passes() -> None:
    results = labels((0.2, 0.1), 0.5, 1500, 100)
    assert sum(passed < failed for failed, passed in results) / len(results) <= 0.05


@pytest.mark.parametrize("bound", [0.001, 0.02, 0.3])
def test_bounds_on_a_rate_are_rarely_crossed_in_error(bound: float) -> None:
    rng = np.random.default_rng(11)
    events = np.cumsum(rng.binomial(100, bound, (400, 50)), axis=1)
    trials = np.arange(100, 5001, 100)
    for evidence in (log_above, log_below):
        wrong = sum(
            any(
                evidence(int(found), int(tried), bound) >= math.log(20)
                for found, tried in zip(run, trials, strict=True)
            )
            for run in events
        )
        assert wrong / len(events) <= 0.05


def mean_run(rng: np.random.Generator, factor: float, looks: int) -> MeanState:
    state = MeanState(name="ttft_s")
    for _ in range(looks):
        ours, theirs = (rng.lognormal(0, 0.5, 30) * factor, rng.lognormal(0, 0.5, 120))
        state = observe_means(state, moments(ours), moments(theirs), (0.0, 0.25, 1))
    return state


def moments(values: np.ndarray) -> Moments:
    return Moments(count=len(values), total=float(values.sum()), squares=float((values**2).sum()))


def test_equal_means_are_rarely_called_worse_and_a_slower_one_is() -> None:
    rng = np.random.default_rng(5)
    equal = [mean_run(rng, 1.0, 60) for _ in range(150)]
    slower = [mean_run(rng, 1.2, 60) for _ in range(50)]
    assert sum(state.log_harm >= math.log(20) for state in equal) / len(equal) <= 0.05
    assert sum(state.log_harm >= math.log(20) for state in slower) / len(slower) >= 0.95


def test_a_right_share_is_never_and_a_wrong_share_soon_complained_of() -> None:
    rng = np.random.default_rng(9)
    for real, is_wrong in ((0.1, False), (0.15, True)):
        complaints = 0
        for _ in range(100):
            state = ShareState()
            for ours in rng.binomial(100, real, 100):
                state = observe_share(state, 0.1, int(ours), 100 - int(ours))
            complaints += bool(share_mismatch(state))
        assert complaints == (100 if is_wrong else 0)


def test_a_new_weight_starts_the_share_anew() -> None:
    state = observe_share(ShareState(), 0.1, 500, 500)
    assert share_mismatch(state)
    assert not share_mismatch(observe_share(state, 0.5, 50, 50))


def test_evidence_does_not_depend_on_how_intervals_are_cut() -> None:
    rng = np.random.default_rng(2)
    cuts = sorted(rng.integers(1, 1000, 9).tolist())
    pieces = [later - earlier for earlier, later in pairwise([0, *cuts, 1000])]
    whole = observe_counts(RatioState(), Counts(n=2000, a=20, m=8000, b=40), 1.1, 2.0)
    parts = RatioState()
    spread_a = rng.multinomial(20, [piece / 1000 for piece in pieces])
    spread_b = rng.multinomial(40, [piece / 1000 for piece in pieces])
    for piece, a, b in zip(pieces, spread_a.tolist(), spread_b.tolist(), strict=True):
        parts = observe_counts(parts, Counts(n=2 * piece, a=a, m=8 * piece, b=b), 1.1, 2.0)
    assert log_harm(parts) == pytest.approx(log_harm(whole), abs=1e-9)
