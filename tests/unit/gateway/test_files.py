"""Files that are whole or absent, and a log that stays small."""

from pathlib import Path

import pytest

from prometheus_ai.adapters.gateways.envoy.files import swap, write_durably
from prometheus_ai.adapters.gateways.envoy.process import LOG_BYTES_MAX, keep_log_bounded


def test_a_durable_write_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    write_durably(path, b"long content")
    write_durably(path, b"short")
    assert path.read_bytes() == b"short"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    write_durably(path, b"good")
    path.with_suffix(".draft").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_durably(path, b"never")
    assert path.read_bytes() == b"good"


def test_a_swap_is_a_rename_from_aside(tmp_path: Path) -> None:
    aside, watched = tmp_path / "aside", tmp_path / "xds"
    aside.mkdir()
    watched.mkdir()
    swap(watched / "rds.json", b"new", aside)
    assert (watched / "rds.json").read_bytes() == b"new"
    assert list(aside.iterdir()) == []


def test_a_large_log_is_set_aside_and_goes_on_in_the_same_file(tmp_path: Path) -> None:
    log = tmp_path / "envoy.log"
    with log.open("ab") as writer:
        writer.write(b"x" * (LOG_BYTES_MAX + 1))
        writer.flush()
        keep_log_bounded(log)
        writer.write(b"later")
    assert log.read_bytes() == b"later"
    assert log.with_suffix(".log.1").stat().st_size == LOG_BYTES_MAX


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "envoy.log"
    log.write_bytes(b"few words")
    keep_log_bounded(log)
    assert list(tmp_path.iterdir()) == [log]
