"""Feedback over the API, as the client and the command line send it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from prometheus_ai.client import Client
from prometheus_ai.control.plane import Hearing
from prometheus_ai.domain.answers import Answer
from prometheus_ai.domain.errors import InvalidInput, NotFound, Unsupported
from prometheus_ai.domain.release import Backend
from prometheus_ai.testing.fake_answers import FakeAnswerLog, FakeReplicas
from tests.unit.api.world import World

NOW = datetime.now(UTC)


@pytest.fixture
def log(world: World) -> FakeAnswerLog:
    """Return the log of answers of a world with a backend; it knows three answers."""
    log = FakeAnswerLog()
    world.plane.hearing = Hearing(log=log, replicas=FakeReplicas())
    with world.store.write() as tx:
        tx.put_backend(Backend(name="digits", created_at=NOW))
    answers = [("a", (7,)), ("b", ("cat",)), ("c", (1, 2))]
    log.add(
        "digits",
        [Answer(request_id=name, version="v1", labels=labels) for name, labels in answers],
        NOW,
    )
    return log


def client(world: World, role: str = "deployer") -> Client:
    return Client(url=world.url, token=world.token(role, role))


@pytest.mark.usefixtures("log")
def test_labels_and_scores_are_joined_with_answers(world: World) -> None:
    items: list[dict[str, Any]] = [
        {"request_id": "a", "label": "7"},
        {"request_id": "b", "score": 0.1},
        {"request_id": "c", "label": [1, 3]},
        {"request_id": "later", "label": 1},
    ]
    with client(world) as api:
        taken = api.feedback("digits", items)
        again = api.feedback("digits", items[:1])
    assert (taken.judged, taken.waiting, taken.repeated) == (4, 1, 0)
    (release,) = taken.releases
    assert (release.version, release.labelled, release.wrong) == ("v1", 4, 2)
    assert release.accuracy == 0.5
    assert again.repeated == 1


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    "item",
    [
        {"request_id": "a"},
        {"request_id": "a", "label": 1, "score": 1},
        {"request_id": "a", "score": 1.5},
        {"request_id": "", "label": 1},
        {"request_id": "a", "label": {}},
        {"request_id": "a", "label": 1, "release": "v1"},
    ],
)
def test_feedback_that_says_nothing_clear_is_refused(world: World, item: dict[str, Any]) -> None:
    with client(world) as api, pytest.raises(InvalidInput):
        api.feedback("digits", [item])


@pytest.mark.usefixtures("log")
def test_feedback_is_about_a_backend(world: World) -> None:
    with client(world) as api, pytest.raises(NotFound):
        api.feedback("nothing", [{"request_id": "a", "label": 1}])


def test_where_no_answers_are_kept_feedback_is_refused(world: World) -> None:
    with client(world) as api, pytest.raises(Unsupported):
        api.feedback("digits", [{"request_id": "a", "label": 1}])
