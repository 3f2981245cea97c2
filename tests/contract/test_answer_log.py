"""The answer log: its fake and its SQLite file keep the same promises."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from prometheus_ai.adapters.stores.answers import log as adapter
from prometheus_ai.adapters.stores.answers.log import SqliteAnswerLog
from prometheus_ai.domain.answers import Answer, Judged, Matched
from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.testing.answer_log_contract import (
    NOW,
    AnswerLogContract,
    answer,
    label,
    request,
)
from prometheus_ai.testing.fake_answers import FakeAnswerLog


def path_of(folder: Path, suffix: str = "") -> Path:
    return folder / f"answers.db{suffix}"


@contextmanager
def bounded(log: SqliteAnswerLog, pages_more: int) -> Iterator[None]:
    """Leave room for so many pages more, as a disk does that is nearly full."""
    with log._file.change() as change:
        pages = change.execute("PRAGMA page_count").fetchone()[0]
        change.execute(f"PRAGMA max_page_count = {pages + pages_more}").fetchone()
    yield
    with log._file.change() as change:
        change.execute("PRAGMA max_page_count = 1073741823").fetchone()


class TestFake(AnswerLogContract):
    @pytest.fixture
    def log(self) -> FakeAnswerLog:
        return FakeAnswerLog()


class TestSqlite(AnswerLogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[SqliteAnswerLog]:
        opened = SqliteAnswerLog.open(tmp_path / "answers.db")
        yield opened
        opened.close()

    def test_the_oldest_answers_make_room(self, log: SqliteAnswerLog) -> None:
        many = adapter.ANSWERS_MAX // 10
        for start in range(0, 11 * many, many):
            found = [answer(str(number), 1) for number in range(start, start + many)]
            log.add("digits", found, NOW)
        assert log.judge("digits", [label("0", 1)], NOW).waiting == 1
        assert log.judge("digits", [label(str(11 * many - 1), 1)], NOW).settled

    def test_feedback_that_finds_no_room_is_counted(self, log: SqliteAnswerLog) -> None:
        said = [label(str(number), 1) for number in range(adapter.WAITING_MAX + 3)]
        matched = log.judge("digits", said, NOW)
        assert (matched.waiting, matched.refused) == (adapter.WAITING_MAX, 3)

    def test_it_is_all_there_after_the_process_died(
        self, log: SqliteAnswerLog, tmp_path: Path
    ) -> None:
        log.add("digits", [answer("a", 3)], NOW)
        log.judge("digits", [label("a", 4)], NOW)
        again = SqliteAnswerLog.open(tmp_path / "answers.db")
        assert again.accuracy("digits") == (Judged(version="v1", labelled=1, wrong=1),)
        again.close()

    def test_several_may_open_a_fresh_file_at_once(self, tmp_path: Path) -> None:
        together = 4
        with ThreadPoolExecutor(together) as pool:
            for attempt in range(8):
                path = tmp_path / str(attempt) / "answers.db"
                start = Barrier(together)

                def opened(path: Path = path, start: Barrier = start) -> SqliteAnswerLog:
                    start.wait(10)
                    return SqliteAnswerLog.open(path)

                logs = [each.result(30) for each in [pool.submit(opened) for _ in range(together)]]
                for number, log in enumerate(logs):
                    log.add("digits", [answer(str(number), 3)], NOW)
                    log.close()
                assert [file.name for file in path.parent.iterdir()] == ["answers.db"]

    def test_a_full_disk_loses_what_came_meanwhile_and_nothing_else(
        self, log: SqliteAnswerLog, tmp_path: Path
    ) -> None:
        log.add("digits", [answer("a", 3)], NOW)
        with bounded(log, pages_more=2), pytest.raises(Unavailable, match="full") as raised:
            log.add("digits", [answer(f"{'b' * 100}{n}", 3) for n in range(1000)], NOW)
        assert "room" in raised.value.hint
        assert log.judge("digits", [label("a", 3)], NOW).settled
        assert log.add("digits", [answer("c", 3)], NOW) == Matched()
        assert not path_of(tmp_path, ".damaged").exists()

    def test_a_file_that_is_damaged_while_it_is_used_is_set_aside(
        self, log: SqliteAnswerLog, tmp_path: Path
    ) -> None:
        hour = timedelta(hours=1)
        log.keep("digits", [request(b"1")], NOW, kept_max=5, kept_for=hour)
        last = log.kept("digits", 0, 1, NOW)[0].number
        log.close()
        path = path_of(tmp_path)
        again = SqliteAnswerLog.open(path)
        with again._file.change() as change:
            change.execute("PRAGMA shrink_memory")
        path.write_bytes(b"no database" * 1000)
        with pytest.raises(Unavailable):
            again.kept("digits", 0, 1, NOW)
        later = NOW + timedelta(seconds=1)
        again.keep("digits", [request(b"2")], later, kept_max=5, kept_for=hour)
        # A rollout that has replayed the lost request finds the new one behind it.
        assert [one.body for one in again.kept("digits", last, 5, later)] == [b"2"]
        assert path_of(tmp_path, ".damaged").exists()
        again.close()

    def test_a_file_that_cannot_be_made_is_made_once_it_can(self, tmp_path: Path) -> None:
        folder = tmp_path / "home"
        folder.write_text("in the way")
        log = SqliteAnswerLog.open(folder / "answers.db")
        with pytest.raises(Unavailable, match="cannot be kept"):
            log.accuracy("digits")
        folder.unlink()
        log.add("digits", [answer("a", 3)], NOW)
        assert log.judge("digits", [label("a", 3)], NOW).settled
        log.close()

    def test_a_damaged_file_is_set_aside(self, tmp_path: Path) -> None:
        path = tmp_path / "answers.db"
        path.write_bytes(b"no database" * 1000)
        opened = SqliteAnswerLog.open(path)
        assert opened.add("digits", [Answer(request_id="a", version="v1")], NOW).waiting == 0
        opened.close()
        assert path.with_name("answers.db.damaged").exists()
