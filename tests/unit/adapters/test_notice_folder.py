"""Notices as files that anybody may write."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prometheus_ai.adapters.notice_folder import KEPT_S, WITHIN_S, NoticeFolder


@pytest.mark.parametrize(
    ("text", "within_s"),
    [("", WITHIN_S), ("12\n", 12), ("soon", WITHIN_S), ("-5", 0), ("1e9", 3600)],
)
def test_a_file_says_how_soon_a_replica_is_gone(tmp_path: Path, text: str, within_s: float) -> None:
    (tmp_path / "digits-v1-1").write_text(text)
    os.utime(tmp_path / "digits-v1-1", (4e9, 4e9))
    by = datetime.fromtimestamp(4e9 + within_s, UTC)
    assert NoticeFolder(tmp_path).read() == {"digits-v1-1": by}


def test_a_notice_comes_back_as_it_was_given(tmp_path: Path) -> None:
    notices = NoticeFolder(tmp_path / "notices")
    assert notices.read() == {}
    by = datetime.now(UTC) + timedelta(seconds=20)
    notices.put("digits-v1-1", by)
    assert abs(notices.read()["digits-v1-1"] - by) < timedelta(seconds=1)


def test_old_notices_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "digits-v1-1"
    path.write_text("1")
    os.utime(path, (1.0, 1.0))
    assert KEPT_S < 1e6
    assert NoticeFolder(tmp_path).read() == {}
    assert not path.exists()
