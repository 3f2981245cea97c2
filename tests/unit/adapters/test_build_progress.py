"""BuildKit's progress becomes steps, and its failures words."""

from prometheus_ai.adapters.builders.docker.network import BuildNetwork, network_of
from prometheus_ai.adapters.builders.docker.progress import Progress
from prometheus_ai.domain.image import BuildEvent

SAID = """#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 1.2kB done
#1 DONE 0.1s

#5 [base 1/1] FROM docker.io/library/python:3.11-slim
#5 CACHED

#7 [heavy 1/1] RUN uv pip sync
#7 sha256:0123 10.5MB / 30.0MB 1.2s
#7 sha256:4567 1.0kB / 1.0kB done
#7 0.533 Resolved 9 packages
#7 DONE 12.3s

#8 [internal] load build context
#8 transferring context: 2.5MB 0.1s done
#8 DONE 0.2s

#9 exporting to image
#9 exporting layers 0.3s done
#9 DONE 0.4s
"""
FAILURE = """#7 [light 1/1] RUN uv pip sync
#7 0.533 error: hash mismatch for anyio
#7 ERROR: executor failed running [/bin/sh -c uv]: exit code: 1
error: failed to solve: executor failed running
"""


def fed(text: str) -> tuple[Progress, list[BuildEvent]]:
    said: list[BuildEvent] = []
    heard = Progress(said.append)
    for line in text.splitlines(keepends=True):
        heard.feed(line)
    return heard, said


def test_steps_have_names_times_and_cache_hits() -> None:
    heard, said = fed(SAID)
    assert [(step.name, step.took_s, step.is_cached) for step in heard.steps.values()] == [
        ("base 1/1: FROM docker.io/library/python:3.11-slim", 0.0, True),
        ("heavy 1/1: RUN uv pip sync", 12.3, False),
        ("exporting to image", 0.4, False),
    ]
    assert "heavy 1/1: RUN uv pip sync (12.3 s)" in [one.line for one in said if one.kind == "done"]
    assert [one.step for one in said if one.kind == "cached"] == [
        "base 1/1: FROM docker.io/library/python:3.11-slim"
    ]


def test_bytes_are_told_while_they_come() -> None:
    _, said = fed(SAID)
    told = [(one.step, one.bytes_done, one.bytes_total) for one in said if one.kind == "bytes"]
    assert told == [
        ("heavy 1/1: RUN uv pip sync", 10_500_000, 30_000_000),
        ("heavy 1/1: RUN uv pip sync", 10_501_000, 30_001_000),
        ("load build context", 2_500_000, 0),
    ]
    assert next(one.line for one in said if one.kind == "bytes").endswith(": 10.5 of 30.0 MB")


def test_what_a_step_says_is_told_with_its_step() -> None:
    _, said = fed(SAID)
    assert [one.words for one in said if one.kind == "words"] == ["Resolved 9 packages"]


def test_a_failure_says_what_the_step_said() -> None:
    heard, events = fed(FAILURE)
    assert events[-1].kind == "failed"
    assert "hash mismatch for anyio" in heard.reason()


def test_network_settings_are_quoted_for_the_shell(tmp_path: object) -> None:
    network = BuildNetwork(index_url="https://u:p'w@index/simple", proxies={"NO_PROXY": "a, b"})
    lines = network.shell().splitlines()
    assert """UV_DEFAULT_INDEX='https://u:p'"'"'w@index/simple'""" in lines
    assert "no_proxy='a, b'" in lines


def test_a_missing_certificate_file_is_left_out() -> None:
    found = network_of({"SSL_CERT_FILE": "/nowhere", "https_proxy": "http://proxy:3128"}, None)
    assert found.ca_file is None
    assert found.proxies == {"HTTPS_PROXY": "http://proxy:3128"}


def test_a_step_is_named_by_what_it_does() -> None:
    line = (
        "#7 [heavy 1/1] RUN --mount=type=cache,target=/dev/pai-cache     --mount=type=bind,source=a,target=/b"
        "     if [ -s /dev/pai_network ]; then set -a; . /dev/pai_network; set +a; fi  && export HOME=/dev A=b"
        "  && /dev/pai-uv/bin/uv venv --quiet /opt/pai/venv\n"
    )
    heard, _ = fed(line)
    assert heard.names == {"7": "heavy 1/1: RUN /dev/pai-uv/bin/uv venv --quiet /opt/pai/venv"}
