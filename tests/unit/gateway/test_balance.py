"""Weights in force follow what can answer."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.route import (
    WEIGHT_SUM,
    BackendRoute,
    Hold,
    RoutedRelease,
    RoutedReplica,
    Weights,
)
from prometheus_ai.gateway.balance import live_weights


def _release(version: str, *, live: int = 0, draining: int = 0) -> RoutedRelease:
    endpoint = Endpoint(host="127.0.0.1", port=1)
    return RoutedRelease(
        version=version,
        replicas=tuple(
            RoutedReplica(id=f"{version}-{number}", endpoint=endpoint, is_draining=number >= live)
            for number in range(live + draining)
        ),
        request_timeout_s=1.0,
        request_bytes_max=1,
    )


def _route(weights: Weights, *releases: RoutedRelease) -> BackendRoute:
    return BackendRoute(backend="digits", weights=weights, releases=releases)


def test_weights_stay_when_everything_lives() -> None:
    route = _route((("v2", 1000), ("v1", 9000)), _release("v1", live=1), _release("v2", live=2))
    assert live_weights(route) == (("v1", 9000), ("v2", 1000))


def test_a_dead_releases_share_goes_to_the_others_in_proportion() -> None:
    weights = (("v1", 6000), ("v2", 2000), ("v3", 2000))
    releases = (_release("v1", live=1), _release("v2", draining=1), _release("v3", live=1))
    assert live_weights(_route(weights, *releases)) == (("v1", 7500), ("v2", 0), ("v3", 2500))


def test_a_live_release_without_weight_takes_nothing() -> None:
    route = _route((("v1", 10_000),), _release("v1"), _release("v2", live=1))
    assert live_weights(route) == ()


def test_a_weighted_version_that_is_not_routed_counts_as_dead() -> None:
    route = _route((("v1", 5000), ("gone", 5000)), _release("v1", live=1))
    assert live_weights(route) == (("v1", WEIGHT_SUM),)


@given(
    st.lists(
        st.tuples(st.integers(0, WEIGHT_SUM), st.integers(0, 2), st.integers(0, 2)), max_size=8
    )
)
def test_weights_have_one_sum_one_order_and_only_live_releases(
    drawn: list[tuple[int, int, int]],
) -> None:
    releases = [
        _release(f"v{number}", live=live, draining=draining)
        for number, (_, live, draining) in enumerate(drawn)
    ]
    weights = tuple((f"v{number}", weight) for number, (weight, _, _) in enumerate(drawn))
    found = live_weights(_route(weights, *releases))
    can_answer = {f"v{number}" for number, (weight, live, _) in enumerate(drawn) if live and weight}
    assert bool(found) == bool(can_answer)
    if found:
        assert sum(weight for _, weight in found) == WEIGHT_SUM
        assert [version for version, _ in found] == [release.version for release in releases]
        assert {version for version, weight in found if weight} <= can_answer


def test_a_release_whose_requests_are_held_keeps_its_share() -> None:
    sleeping = replace(_release("v2"), hold=Hold(wait_s=30.0, start_s=2.0))
    route = _route((("v1", 9000), ("v2", 1000)), _release("v1", live=1), sleeping)
    assert live_weights(route) == (("v1", 9000), ("v2", 1000))
