"""A release against what is usual: only clear and large changes for the worse are named."""

import numpy as np
import pytest

from prometheus_ai.analysis import Past, worse_than
from prometheus_ai.domain.window import Histogram, bucket_index


def past(seed: int, *, factor: float = 1.0, errors: float = 0.002, share: float = 0.5) -> Past:
    chance = np.random.default_rng(seed)
    count = 20_000
    values = chance.lognormal(-4, 0.5, count) * factor
    buckets: dict[int, int] = {}
    for value in values.tolist():
        index = bucket_index(value)
        buckets[index] = buckets.get(index, 0) + 1
    first = int(chance.binomial(count, share))
    return Past(
        requests=count,
        errors=int(chance.binomial(count, errors)),
        latency_s=Histogram(count=count, sum=float(values.sum()), buckets=buckets),
        outputs={"yes": first, "no": count - first},
    )


@pytest.mark.parametrize("seed", range(10))
def test_the_same_again_is_no_regression(seed: int) -> None:
    assert worse_than(past(seed), past(seed + 100)) == ()


def test_each_thing_that_got_worse_is_named() -> None:
    now = past(1, factor=1.5, errors=0.02, share=0.85)
    found = {worse.what: worse for worse in worse_than(now, past(2))}
    assert set(found) == {"p95", "p99", "errors", "outputs"}
    assert found["errors"].now.startswith("2.")
    assert found["p95"].before.endswith(" ms")


def test_what_got_better_is_not_named() -> None:
    assert worse_than(past(1, factor=0.5, errors=0.0001), past(2, errors=0.01)) == ()


def test_rare_errors_do_not_matter() -> None:
    assert worse_than(past(1, errors=0.004), past(2, errors=0.0001)) == ()


def test_few_requests_say_nothing() -> None:
    few = Past(requests=40, errors=40, outputs={"yes": 40})
    assert worse_than(few, past(2)) == ()
    assert worse_than(past(2), few) == ()
