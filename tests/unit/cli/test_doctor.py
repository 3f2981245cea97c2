"""What the doctor finds, and what it says to do."""

import os
import socket
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from prometheus_ai.cli.main import main
from prometheus_ai.compose.doctor import Finding, examine
from prometheus_ai.compose.presence import port_problem
from prometheus_ai.compose.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    tmp_path.chmod(0o700)
    return Settings(home=tmp_path, api_port=_free_port(), gateway_port=_free_port())


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def found(settings: Settings, name: str, running: dict[str, int] | None = None) -> list[Finding]:
    findings = examine(settings, running or {}, with_index=False)
    return [one for one in findings if one.name == name]


def test_a_fresh_home_has_nothing_to_fix_but_what_the_machine_lacks(settings: Settings) -> None:
    findings = examine(settings, {}, with_index=False)
    assert [one for one in findings if one.state == "fail"] == []
    assert {"python", "home", "disk", "clock", "uv", "envoy", "database", "machine"} <= {
        one.name for one in findings
    }


def test_every_finding_that_is_not_ok_says_what_to_do_or_what_is_so(settings: Settings) -> None:
    settings.home.chmod(0o755)
    for one in examine(settings, {"server": 1}, with_index=False):
        assert one.detail
        if one.state == "fail":
            assert one.fix


def test_a_home_open_to_others_is_a_warning(settings: Settings) -> None:
    settings.home.chmod(0o755)
    (one,) = found(settings, "home")
    assert (one.state, one.fix) == ("warn", f"chmod 700 {settings.home}")


def test_credentials_open_to_others_are_a_warning(settings: Settings) -> None:
    settings.credentials.write_text("{}")
    settings.credentials.chmod(0o644)
    (one,) = found(settings, "home")
    assert one.fix == f"chmod 600 {settings.credentials}"


def test_a_taken_port_fails_unless_it_is_ours(settings: Settings) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", settings.api_port))
        holder.listen()
        name = f"port {settings.api_port}"
        (one,) = found(settings, name)
        assert one.state == "fail"
        assert "PAI_API_PORT" in one.fix
        (ours,) = found(settings, name, {"server": 42})
        assert "process 42" in ours.detail
        assert port_problem("127.0.0.1", settings.api_port) == "Address already in use"


def test_a_half_running_platform_fails(settings: Settings) -> None:
    states = [one.state for one in found(settings, "processes", {"server": 1})]
    assert states == ["ok", "fail"]


def test_a_clock_behind_the_state_fails(settings: Settings) -> None:
    settings.database.parent.mkdir()
    future = settings.database.parent / "marker"
    future.touch()
    os.utime(future, (time.time() + 3600, time.time() + 3600))
    (one,) = found(settings, "clock")
    assert one.state == "fail"


def test_a_database_that_is_none_fails(settings: Settings) -> None:
    settings.database.parent.mkdir()
    settings.database.write_bytes(b"this is no database at all" * 100)
    (one,) = found(settings, "database")
    assert one.state == "fail"


def test_the_command_prints_a_line_each_and_fails_with_9(settings: Settings) -> None:
    environ = {
        "PAI_HOME": str(settings.home),
        "PAI_API_PORT": str(settings.api_port),
        "PAI_GATEWAY_PORT": str(settings.gateway_port),
    }
    result = CliRunner().invoke(main, ["doctor"], env=environ)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("ok   python")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", settings.gateway_port))
        holder.listen()
        assert CliRunner().invoke(main, ["doctor", "--json"], env=environ).exit_code == 9
