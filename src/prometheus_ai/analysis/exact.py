"""Exact distribution functions, so that the platform needs no statistics library.

Each is checked against an independent implementation in the tests.
"""

import math

_CONVERGED = 1e-13
_TINY = 1e-300
_TERMS_MAX = 10_000


def regularized_beta(a: float, b: float, x: float) -> float:
    """Return I_x(a, b), by its continued fraction (Lentz's method; DLMF 8.17.22)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - regularized_beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        + a * math.log(x) + b * math.log1p(-x)
    )  # fmt: skip
    fraction, c, d = 1.0, 1.0, 0.0
    for term in range(_TERMS_MAX):
        half = term // 2
        if term == 0:
            numerator = 1.0
        elif term % 2 == 0:
            numerator = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        else:
            numerator = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        d = 1 / _away_from_zero(1 + numerator * d)
        c = _away_from_zero(1 + numerator / c)
        fraction *= c * d
        if abs(1 - c * d) < _CONVERGED:
            break
    return front * (fraction - 1) / a


def beta_quantile(p: float, a: float, b: float) -> float:
    """Return x with I_x(a, b) = p: Newton's method, kept inside a shrinking bracket."""
    low, high = 0.0, 1.0
    x = a / (a + b)
    scale = log_beta(a, b)
    for _ in range(60):
        error = regularized_beta(a, b, x) - p
        low, high = (low, x) if error > 0 else (x, high)
        slope = math.exp((a - 1) * math.log(x) + (b - 1) * math.log1p(-x) - scale)
        newton = x - error / slope if slope > 0 else low
        following = newton if low < newton < high else (low + high) / 2
        if abs(following - x) <= 1e-9 * x:
            return following
        x = following
    return x


def clopper_pearson(events: int, trials: int, alpha: float = 0.05) -> tuple[float, float]:
    """Return the exact two-sided interval of a proportion; (0, 1) without trials."""
    if trials == 0:
        return (0.0, 1.0)
    low = 0.0 if events == 0 else beta_quantile(alpha / 2, events, trials - events + 1)
    high = 1.0 if events == trials else beta_quantile(1 - alpha / 2, events + 1, trials - events)
    return (low, high)


def binomial_tail(events: int, trials: int, p: float) -> float:
    """Return P(X >= events) for X ~ Binomial(trials, p)."""
    if events <= 0:
        return 1.0
    if events > trials:
        return 0.0
    return regularized_beta(events, trials - events + 1, p)


def chi_square_tail(x: float, freedom: int) -> float:
    """Return P(X >= x) for a chi-square variable: the regularised upper incomplete gamma function."""
    a, z = freedom / 2, x / 2
    if z <= 0:
        return 1.0
    front = math.exp(a * math.log(z) - z - math.lgamma(a))
    if z < a + 1:
        term = total = 1 / a
        for step in range(1, _TERMS_MAX):
            term *= z / (a + step)
            total += term
            if term < total * _CONVERGED:
                break
        return 1 - front * total
    b = z + 1 - a
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for step in range(1, _TERMS_MAX):
        numerator = -step * (step - a)
        b += 2
        d = 1 / _away_from_zero(numerator * d + b)
        c = _away_from_zero(b + numerator / c)
        fraction *= c * d
        if abs(1 - c * d) < _CONVERGED:
            break
    return front * fraction


def log_beta(a: float, b: float) -> float:
    """Return ln B(a, b)."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def log_sum(logs: tuple[float, ...]) -> float:
    """Return ln of the sum of exponentials."""
    largest = max(logs)
    return largest + math.log(sum(math.exp(value - largest) for value in logs))


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
