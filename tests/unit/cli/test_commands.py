"""What each command prints and how it ends."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from prometheus_ai.domain.replica import ExitCause
from prometheus_ai.specs.read import read
from prometheus_ai.testing.fake_driver import Behaviour
from tests.unit.api.world import World
from tests.unit.cli.conftest import Pai

Deploy = Callable[..., Result]


def test_deploy_tells_its_steps_on_stderr_and_the_result_on_stdout(deployed: Deploy) -> None:
    result = deployed()
    assert result.stdout == "digits/v1 deployed\n"
    assert "digits/v1: ready with 100 % of traffic" in result.stderr.splitlines()


def test_deploying_the_same_again_says_so(deployed: Deploy) -> None:
    deployed()
    assert deployed().stdout == "digits/v1 is deployed already: nothing changed\n"


def test_deploy_without_wait_returns_at_once_and_says_how_to_follow(
    pai: Pai, deployed: Deploy, world: World
) -> None:
    deployed()
    world.target.behaviours["digits/v2"] = Behaviour(ready_after_s=None)
    Path("model.onnx").write_bytes(b"model two")
    result = pai("deploy", "pai.yaml")
    assert result.exit_code == 0
    assert result.stdout == "digits/v2 accepted\n"
    assert "pai status digits" in result.stderr


def test_deploy_that_does_not_finish_in_time_exits_with_7(
    pai: Pai, deployed: Deploy, world: World
) -> None:
    deployed()
    world.target.behaviours["digits/v2"] = Behaviour(ready_after_s=None)
    Path("model.onnx").write_bytes(b"model two")
    result = pai("deploy", "pai.yaml", "--wait", "--timeout", "0.3")
    assert result.exit_code == 7
    assert "pai why digits" in result.stderr


def test_a_wrong_spec_lists_every_problem_and_exits_with_2(pai: Pai) -> None:
    Path("pai.yaml").write_text("nme: a\nmodel: {path: m.onnx, engine: onx}\n")
    result = pai("deploy", "pai.yaml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[:2] == [
        "error: pai.yaml has 3 problems:",
        "  pai.yaml:1: nme: unknown field (did you mean name?)",
    ]


def test_diff_shows_what_a_deploy_would_change(pai: Pai, deployed: Deploy) -> None:
    deployed()
    assert pai("diff", "pai.yaml").stdout == "compared with digits/v1\nno changes\n"
    Path("pai.yaml").write_text(Path("pai.yaml").read_text() + "replicas: 2\n")
    result = pai("diff", "pai.yaml", "--exit-code")
    assert result.exit_code == 3
    assert "~ replicas: 1 -> 2" in result.stdout
    assert pai.json("diff", "pai.yaml")["changes"] == [
        {"field": "replicas", "before": 1, "after": 2}
    ]


def test_traffic_commands_tell_what_is_in_force(pai: Pai, deployed: Deploy) -> None:
    deployed()
    deployed(b"model two", "--weight", "10")
    assert "v1=80 v2=20 in force after" in pai("route", "digits", "v1=80", "v2=20").stdout
    assert "v2=100 in force after" in pai("promote", "digits").stdout
    assert "v1=100 in force after" in pai("rollback", "digits", "--reason", "bad").stdout
    assert pai.json("rollback", "digits", "--to", "v2")["weights"] == {"v2": 10000}
    assert pai("scale", "digits", "2").stdout == "digits: v2 to 2 replicas\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("route", "digits", "v1"), 2, "'v1' is not VERSION=PERCENT"),
        (("route", "digits", "v1=1", "v1=99"), 2, "v1 is named twice"),
        (("route", "digits", "v1=50"), 2, "weights sum to 50, not 100"),
        (("route", "digits", "v9=100"), 4, "has no release 'v9'"),
        (("route", "nothing", "v1=100"), 4, "there is no backend 'nothing'"),
        (("rollback", "digits"), 5, "no earlier version"),
        (("promote", "digits"), 5, "nothing to promote"),
        (("scale", "digits", "0"), 2, "cannot have 0 replicas"),
        (("logs", "digits", "--replica", "x"), 4, "has no replica 'x'"),
        (("status", "nothing"), 4, "there is no backend"),
        (("deploy", "nowhere.yaml"), 4, "nowhere.yaml does not exist"),
        (("predict", "digits", "[1"), 2, "ROWS is no JSON"),
        (("predict", "digits"), 2, "either as an argument or with --file"),
        (("delete", "digits"), 2, "give --yes"),
        (("token", "revoke", "x"), 4, "there is no token 'x'"),
        (("nonsense",), 2, "No such command"),
        (("scale", "digits"), 2, "Missing argument"),
    ],
)
def test_mistakes_have_an_exit_code_and_words(
    pai: Pai, deployed: Deploy, words: tuple[str, ...], code: int, said: str
) -> None:
    deployed()
    result = pai(*words)
    assert result.exit_code == code, result.output
    assert said in result.stderr
    assert result.stdout == ""


def test_a_failed_release_exits_with_5_and_names_the_cause(
    pai: Pai, deployed: Deploy, world: World
) -> None:
    deployed()
    world.target.behaviours["digits/v2"] = Behaviour(
        ready_after_s=None, exit_after_s=0.0, exit_message="no such operator"
    )
    Path("model.onnx").write_bytes(b"model two")
    result = pai("deploy", "pai.yaml", "--wait")
    assert result.exit_code == 5
    assert "digits/v2 failed" in result.stderr
    assert "no such operator" in result.stderr
    assert pai.json("status", "digits")["summary"]["weights"] == {"v1": 100.0}


def test_status_of_an_empty_installation_says_what_to_do(pai: Pai) -> None:
    result = pai("status")
    assert result.exit_code == 0
    assert "serving" in result.stdout
    assert "pai init MODEL_FILE" in result.stderr


def test_status_is_a_table(pai: Pai, deployed: Deploy) -> None:
    deployed()
    lines = pai("status").stdout.splitlines()
    assert lines[1].split()[:4] == ["backend", "state", "traffic", "replicas"]
    assert lines[2].split()[:4] == ["digits", "ready", "v1=100", "1/1"]
    detail = pai("status", "digits").stdout
    assert "stable    v1" in detail
    assert "digits-v1-1" in detail


def test_read_commands_print_json_alone(pai: Pai, deployed: Deploy) -> None:
    deployed()
    assert [one["name"] for one in pai.json("status")["backends"]] == ["digits"]
    assert pai.json("status", "digits")["summary"]["state"] == "ready"
    assert [one["version"] for one in pai.json("releases", "digits")] == ["v1"]
    assert pai.json("why", "digits")["differences"] == []
    assert {"index", "at", "kind", "actor", "reason"} <= set(pai.json("events", "digits")[0])
    assert pai.json("audit", "verify")["is_intact"] is True
    assert [one["role"] for one in pai.json("token", "list")] == ["admin"]
    assert pai.json("gc", "--dry-run")["is_dry_run"] is True
    assert json.loads(pai("logs", "digits", "--json").stdout)["text"] == "started"
    assert set(pai.json("version")) == {"version", "python", "machine"}


def test_people_read_the_same(pai: Pai, deployed: Deploy) -> None:
    deployed()
    assert "started" in pai("logs", "digits").stdout
    assert "by tester: deploy" in pai("events", "digits").stdout
    assert "nothing: what runs is what is wanted" in pai("why", "digits").stdout
    assert "records are intact" in pai("audit", "verify").stdout
    assert "onnx" in pai("releases", "digits").stdout
    assert "would free" in pai("gc", "--dry-run").stdout


def test_predict_takes_an_argument_files_and_standard_input(pai: Pai, tmp_path: Path) -> None:
    rows = [[0.1, 0.9], [0.8, 0.2]]
    np.save(tmp_path / "rows.npy", np.array(rows))
    (tmp_path / "rows.csv").write_text("left,right\n0.1,0.9\n0.8,0.2\n")
    (tmp_path / "rows.json").write_text(json.dumps({"image": rows}))
    for words, stdin in (
        ((json.dumps(rows),), None),
        (("--file", "rows.npy"), None),
        (("--file", "rows.csv"), None),
        (("--file", "rows.json"), None),
        (("--file", "-"), json.dumps(rows)),
        (("--file", "-"), "0.1,0.9\n0.8,0.2\n"),
    ):
        result = pai("predict", "digits", *words, stdin=stdin)
        assert result.stdout == "label: [1, 0]\n", result.output
        assert "digits/v1 answered in" in result.stderr
    answer = pai.json("predict", "digits", "[[0.1, 0.9]]", "--release", "v2")
    assert (answer["release"], answer["outputs"]) == ("digits/v2", {"label": [1]})


def test_delete_asks_nothing_with_yes(pai: Pai, deployed: Deploy) -> None:
    deployed()
    assert pai("delete", "digits", "--yes").stdout == "digits is being deleted\n"


def test_a_new_token_is_alone_on_stdout(pai: Pai, world: World) -> None:
    result = pai("token", "create", "ci", "--role", "viewer")
    secret = result.stdout.strip()
    assert secret.startswith("pai_")
    assert "only time" in result.stderr
    viewer = Pai({"PAI_URL": world.url, "PAI_TOKEN": secret})
    assert viewer("status").exit_code == 0
    assert viewer("gc").exit_code == 6


def test_the_audit_log_can_be_exported(pai: Pai, deployed: Deploy, tmp_path: Path) -> None:
    deployed()
    lines = pai("audit", "export").stdout.splitlines()
    assert all(json.loads(line) for line in lines)
    assert pai("audit", "export", "--output", "audit.jsonl").exit_code == 0
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) == len(lines)


def test_without_a_platform_the_exit_code_is_9_and_the_hint_is_up(tmp_path: Path) -> None:
    result = Pai({"PAI_URL": "http://127.0.0.1:9", "PAI_TOKEN": "x"})("status")
    assert result.exit_code == 9
    assert "pai up" in result.stderr


def test_without_credentials_the_exit_code_is_6(tmp_path: Path) -> None:
    result = Pai({"PAI_HOME": str(tmp_path), "PAI_URL": "", "PAI_TOKEN": ""})("status")
    assert result.exit_code == 6
    assert "pai up" in result.stderr


def test_the_stored_token_is_sent_to_its_own_address_only(tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_text('{"url": "http://127.0.0.1:1", "token": "t"}')
    result = Pai({"PAI_HOME": str(tmp_path), "PAI_URL": "http://127.0.0.1:2", "PAI_TOKEN": ""})(
        "status"
    )
    assert result.exit_code == 6
    assert "holds one for http://127.0.0.1:1" in result.stderr


def test_init_writes_a_spec_that_reads_back(
    pai: Pai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor = "[{'name': 'x', 'datatype': 'FP32', 'shape': [-1, 2]}]"
    (tmp_path / "model.py").write_text(
        f"class Digits:\n    signature = {{'inputs': {tensor}, 'outputs': {tensor}}}\n"
        "    def predict(self, x): return x\n"
    )
    result = pai("init", "model.py:Digits", "--name", "digits", "--schema")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "pai.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=./pai.schema.json\n")
    spec = read(text, "pai.yaml")
    assert spec.model.signature is not None
    assert (spec.name, spec.model.path, spec.model.engine) == (
        "digits",
        "model.py:Digits",
        "python",
    )
    assert json.loads((tmp_path / "pai.schema.json").read_text())["title"]
    assert pai("init", "model.py:Digits").exit_code == 5
    assert pai("init", "nowhere.onnx", "--output", "x.yaml").exit_code == 4


@pytest.mark.parametrize(
    ("file", "name"),
    [("digits/v1/model.py", "digits"), ("fraud/v2.py", "fraud"), ("Wide Forest (2).py", "wide-forest-2")],
)  # fmt: skip
def test_init_takes_the_name_from_what_says_something(pai: Pai, file: str, name: str) -> None:
    tensor = "[{'name': 'x', 'datatype': 'FP32', 'shape': [-1, 2]}]"
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(
        f"class Model:\n    signature = {{'inputs': {tensor}, 'outputs': {tensor}}}\n"
        "    def predict(self, x): return x\n"
    )
    assert f"backend {name}, engine python" in pai("init", file).stdout
    assert pai("init", file, "--name", "", "--force").exit_code == 2


def test_paths_that_are_no_files_are_refused_at_once(pai: Pai) -> None:
    os.mkfifo("pipe")
    assert "is a pipe" in pai("diff", "pipe").stderr
    Path("pai.yaml").write_text('name: a\nmodel: {path: "\\0"}\n')
    result = pai("diff", "pai.yaml")
    assert (result.exit_code, "null character" in result.stderr) == (2, True)
    requirements = "name: a\nmodel: {path: pai.yaml}\nenvironment: {requirements: no.txt}\n"
    Path("pai.yaml").write_text(requirements)
    result = pai("diff", "pai.yaml")
    assert (result.exit_code, "pai init" in result.stderr) == (4, False)


def test_a_token_that_cannot_be_one_is_refused_in_words(pai: Pai) -> None:
    result = Pai({**pai.environ, "PAI_TOKEN": "a\nb"})("status")
    assert result.exit_code == 6
    assert "characters that no token has" in result.stderr


def test_a_viewer_who_deploys_is_told_why_not(pai: Pai, deployed: Deploy) -> None:
    deployed()
    secret = pai.json("token", "create", "eyes")["secret"]
    result = Pai({**pai.environ, "PAI_TOKEN": secret})("deploy", "pai.yaml")
    assert result.exit_code == 6
    assert "role" in result.stderr


def test_logs_show_the_failed_replica_beside_the_living(
    pai: Pai, deployed: Deploy, world: World
) -> None:
    deployed()
    world.target.behaviours["digits/v2"] = Behaviour(
        ready_after_s=None, exit_after_s=0.0, exit_cause=ExitCause.LOAD_FAILED
    )
    Path("model.onnx").write_bytes(b"model two")
    assert pai("deploy", "pai.yaml", "--wait").exit_code != 0
    found = {
        json.loads(line)["replica"] for line in pai("logs", "digits", "--json").stdout.splitlines()
    }
    assert {name.rpartition("-")[0] for name in found} == {"digits-v1", "digits-v2"}


def test_schema_prints_the_json_schema(pai: Pai) -> None:
    assert json.loads(pai("schema").stdout)["properties"]["name"]
