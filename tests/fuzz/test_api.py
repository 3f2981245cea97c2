"""Every described request, generated: no fault of our own, and every answer as described."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from prometheus_ai.api.app import create_schema
from tests.unit.api.world import World, running

STREAMS = r"/stream$"
described = schemathesis.openapi.from_dict(create_schema()).exclude(path_regex=STREAMS)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(Path(tmp_path_factory.mktemp("fuzz"))) as world:
        yield world


@pytest.fixture(scope="module")
def token(world: World) -> str:
    return world.token()


@described.parametrize()
@settings(
    max_examples=25, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
def test_every_answer_is_as_described(case: schemathesis.Case, world: World, token: str) -> None:
    case.call_and_validate(
        base_url=world.url,
        headers={"authorization": f"Bearer {token}"},
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )
