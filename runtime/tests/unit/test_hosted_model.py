"""What a model that does not serve says of when to ask again."""

import asyncio

import pytest
from runtime.tests.fakes import FakeServer

from prometheus_ai_runtime.errors import RequestError


def refused(state: str, phases_s: dict[str, float]) -> int | None:
    async def run() -> int | None:
        model = FakeServer().model
        model.close(state, "it is not there")
        model.phases_s = phases_s
        with pytest.raises(RequestError, match="it is not there") as refusal:
            model.refuse()
        return refusal.value.retry_after_s

    return asyncio.run(run())


@pytest.mark.parametrize("state", ["loading", "returning", "evicted"])
def test_a_model_being_loaded_is_there_after_what_its_loading_took(state: str) -> None:
    assert refused(state, {"import": 0.4, "load": 2.5, "warm_up": 0.2}) == 4


def test_a_first_loading_is_not_known_to_take_long() -> None:
    assert refused("loading", {}) == 1


@pytest.mark.parametrize("state", ["failed", "unloaded"])
def test_nobody_is_asked_to_wait_for_a_model_that_nobody_loads(state: str) -> None:
    assert refused(state, {"load": 2.5}) is None
