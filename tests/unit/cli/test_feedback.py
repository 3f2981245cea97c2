"""``pai feedback``: one answer, or a file of them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prometheus_ai.control.plane import Hearing
from prometheus_ai.domain.answers import Answer
from prometheus_ai.domain.release import Backend
from prometheus_ai.testing.fake_answers import FakeAnswerLog, FakeReplicas
from tests.unit.api.world import World
from tests.unit.cli.conftest import Pai

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _answered(world: World) -> None:
    log = FakeAnswerLog()
    world.plane.hearing = Hearing(log=log, replicas=FakeReplicas())
    with world.store.write() as tx:
        tx.put_backend(Backend(name="digits", created_at=NOW))
    answers = [Answer(request_id=str(n), version="v1", labels=(7,)) for n in range(1500)]
    log.add("digits", answers, NOW)


def test_one_label_is_judged(pai: Pai) -> None:
    result = pai("feedback", "digits", "3", "--label", "7")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "1 judged",
        "v1: 1 of 1 labelled answers are right (100.0 %)",
    ]


def test_a_file_of_any_length_is_sent_in_parts(pai: Pai, tmp_path: Path) -> None:
    lines = [json.dumps({"request_id": str(n), "label": 7 - n % 2}) for n in range(1500)]
    (tmp_path / "labels.jsonl").write_text("\n".join([*lines, "", lines[0]]))
    found = pai.json("feedback", "digits", "--file", "labels.jsonl")
    assert (found["judged"], found["repeated"]) == (1500, 1)
    assert found["releases"][0]["wrong"] == 750


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("3",), "either --label or --score"),
        (("3", "--label", "1", "--score", "1"), "either --label or --score"),
        ((), "either a request id or a file"),
        (("--file", "bad.jsonl"), "line 2 is no JSON"),
        (("--file", "list.jsonl"), "line 1 must be an object"),
        (("--file", "empty.jsonl"), "holds no feedback"),
    ],
)
def test_what_is_unclear_is_refused(
    pai: Pai, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"request_id": "a", "label": 1}\n{\n')
    (tmp_path / "list.jsonl").write_text("[]\n")
    (tmp_path / "empty.jsonl").write_text("\n")
    result = pai("feedback", "digits", *words)
    assert result.exit_code != 0
    assert said in result.output
