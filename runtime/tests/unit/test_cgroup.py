"""CPU quota and throttling, read from both versions of cgroups."""

from pathlib import Path

import pytest

from prometheus_ai_runtime.watch.cgroup import Throttling, cpu_quota


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return tmp_path / "proc-self-cgroup"


def test_version_2_gives_quota_and_microseconds(tmp_path: Path, proc: Path) -> None:
    proc.write_text("0::/pod/box\n")
    inner = tmp_path / "pod" / "box"
    write(tmp_path / "pod", cpu_max="400000 100000\n", cpu_stat="throttled_usec 9\n")
    write(inner, cpu_max="150000 100000\n", cpu_stat="usage_usec 5\nthrottled_usec 1234\n")
    assert cpu_quota(tmp_path, proc) == 1.5
    throttling = Throttling(tmp_path, proc)
    assert throttling.total_us == 1234
    write(inner, cpu_stat="usage_usec 5\nthrottled_usec 5678\n")
    assert throttling.refresh(1.0) == 5678
    write(inner, cpu_stat="usage_usec 5\nthrottled_usec 9999\n")
    assert throttling.refresh(1.005) == 5678
    assert throttling.refresh(1.02) == 9999
    throttling.close()


def test_version_1_gives_quota_and_nanoseconds(tmp_path: Path, proc: Path) -> None:
    proc.write_text("7:memory:/box\n4:cpu,cpuacct:/docker/box\n")
    # Inside a container the mount is the container's own group, so the path is not below it.
    base = tmp_path / "cpu,cpuacct"
    base.mkdir()
    (base / "cpu.cfs_quota_us").write_text("50000\n")
    (base / "cpu.cfs_period_us").write_text("100000\n")
    (base / "cpu.stat").write_text("nr_periods 3\nnr_throttled 2\nthrottled_time 7000000\n")
    assert cpu_quota(tmp_path, proc) == 0.5
    throttling = Throttling(tmp_path, proc)
    assert throttling.total_us == 7000
    throttling.close()


@pytest.mark.parametrize("quota", ["max 100000\n", "nonsense\n", ""])
def test_without_a_quota_nothing_is_read(tmp_path: Path, proc: Path, quota: str) -> None:
    proc.write_text("0::/\n")
    write(tmp_path, cpu_max=quota, cpu_stat="throttled_usec 5\n")
    assert cpu_quota(tmp_path, proc) is None
    assert Throttling(tmp_path, proc).refresh(1.0) == 0


def test_a_machine_without_cgroups_has_no_quota(tmp_path: Path, proc: Path) -> None:
    assert cpu_quota(tmp_path, proc) is None
    assert Throttling(tmp_path, proc).total_us == 0
