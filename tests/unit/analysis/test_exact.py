"""Special functions, against an independent implementation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from prometheus_ai.analysis.exact import (
    beta_quantile,
    binomial_tail,
    chi_square_tail,
    clopper_pearson,
    log_beta,
    log_sum,
    regularized_beta,
)

SHAPES = st.floats(0.5, 5000)


@given(a=SHAPES, b=SHAPES, x=st.floats(0, 1))
@settings(deadline=None)
def test_the_incomplete_beta_function_agrees(a: float, b: float, x: float) -> None:
    assert regularized_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-6, abs=1e-12)


@given(a=st.floats(0.5, 500), b=st.floats(0.5, 500), p=st.floats(0.001, 0.999))
@settings(deadline=None)
def test_the_quantile_undoes_the_function(a: float, b: float, p: float) -> None:
    assert special.betainc(a, b, beta_quantile(p, a, b)) == pytest.approx(p, abs=1e-6)


@given(trials=st.integers(1, 3000), share=st.floats(0, 1))
@settings(deadline=None)
def test_the_exact_interval_agrees(trials: int, share: float) -> None:
    events = round(share * trials)
    wanted = stats.binomtest(events, trials).proportion_ci(0.95, "exact")
    assert clopper_pearson(events, trials) == pytest.approx((wanted.low, wanted.high), abs=1e-7)


@pytest.mark.parametrize(
    ("ceiling", "requests"), [(0.05, 59), (0.02, 149), (0.01, 299), (0.005, 598)]
)
def test_no_failure_proves_as_much_as_the_tables_say(ceiling: float, requests: int) -> None:
    assert clopper_pearson(0, requests, 0.10)[1] == pytest.approx(ceiling, rel=0.01)


@given(trials=st.integers(1, 2000), share=st.floats(0, 1), p=st.floats(0.001, 0.999))
@settings(deadline=None)
def test_the_binomial_tail_agrees(trials: int, share: float, p: float) -> None:
    events = round(share * trials)
    wanted = stats.binom.sf(events - 1, trials, p)
    assert binomial_tail(events, trials, p) == pytest.approx(wanted, rel=1e-5, abs=1e-12)


@given(x=st.floats(0, 300), freedom=st.integers(1, 100))
@settings(deadline=None)
def test_the_chi_square_tail_agrees(x: float, freedom: int) -> None:
    assert chi_square_tail(x, freedom) == pytest.approx(
        stats.chi2.sf(x, freedom), rel=1e-6, abs=1e-12
    )


def test_logarithms_agree() -> None:
    assert log_beta(3.5, 900.0) == pytest.approx(special.betaln(3.5, 900.0))
    assert log_sum((-1000.0, -1001.0)) == pytest.approx(special.logsumexp([-1000.0, -1001.0]))
