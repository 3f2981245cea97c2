"""The client against a real HTTP server over fakes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from prometheus_ai.client import Client
from prometheus_ai.client.faults import fault
from prometheus_ai.domain.errors import (
    Conflict,
    InvalidInput,
    InvalidSpec,
    NotFound,
    NotReady,
    PlatformError,
    Refused,
    Unauthenticated,
    Unavailable,
)
from prometheus_ai.testing.fake_driver import Behaviour
from tests.unit.api.world import World


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with Client(world.url, world.token()) as client:
        yield client


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"model one")
    path = tmp_path / "pai.yaml"
    path.write_text("name: digits\nmodel: {path: model.onnx, engine: onnx}\n")
    return path


def test_a_deploy_is_served_when_it_returns(client: Client, spec: Path) -> None:
    lines: list[str] = []
    deployed = client.deploy(spec, on_progress=lines.append)
    assert (deployed.backend, deployed.version, deployed.is_new) == ("digits", "v1", True)
    assert client.backend("digits").summary.weights == {"v1": 100.0}
    assert lines[-1] == "digits/v1: ready with 100 % of traffic"
    assert "environment of digits/v1 is ready" in lines


def test_the_same_spec_changes_nothing(client: Client, spec: Path) -> None:
    client.deploy(spec)
    again = client.deploy(spec)
    assert (again.version, again.is_new, again.changed) == ("v1", False, False)
    assert client.diff(spec).changes == []


def test_a_new_model_file_is_a_new_release(client: Client, spec: Path) -> None:
    client.deploy(spec)
    (spec.parent / "model.onnx").write_bytes(b"model two")
    assert [change.field for change in client.diff(spec).changes] == ["inputs.model"]
    assert client.deploy(spec, weight=10).version == "v2"
    assert client.backend("digits").summary.weights == {"v1": 90.0, "v2": 10.0}


def test_traffic_moves_by_route_promote_and_rollback(client: Client, spec: Path) -> None:
    client.deploy(spec)
    (spec.parent / "model.onnx").write_bytes(b"model two")
    client.deploy(spec, weight=10)
    assert client.route("digits", {"v1": 50, "v2": 50}).is_in_force
    assert client.promote("digits", reason="better").weights == {"v2": 10000}
    assert client.rollback("digits").weights == {"v1": 10000}
    kinds = [event.kind for event in client.events("digits")]
    assert kinds.count("route:changed") >= 4
    assert any(event.reason == "better" for event in client.events("digits"))


def test_a_release_that_fails_raises_with_its_cause(
    client: Client, spec: Path, world: World
) -> None:
    world.target.behaviours["digits/v1"] = Behaviour(
        ready_after_s=None, exit_after_s=0.0, exit_message="no such operator"
    )
    with pytest.raises(Conflict, match="digits/v1 failed"):
        client.deploy(spec)
    assert client.releases("digits")[0].phase == "failed"


def test_a_wrong_spec_raises_every_problem_with_its_line(client: Client, spec: Path) -> None:
    spec.write_text("name: digits\nmodel: {path: model.onnx, engine: onx}\nreplica: 2\n")
    with pytest.raises(InvalidSpec) as caught:
        client.deploy(spec)
    assert [(one.line, one.field) for one in caught.value.problems] == [
        (2, "model.engine"),
        (3, "replica"),
    ]
    assert str(spec) in str(caught.value)


def test_a_spec_may_be_values(client: Client, spec: Path) -> None:
    model = str(spec.parent / "model.onnx")
    deployed = client.deploy({"name": "digits", "model": {"path": model, "engine": "onnx"}})
    assert deployed.version == "v1"
    with pytest.raises(InvalidSpec):
        client.check({"name": "digits"})


def test_a_folder_is_uploaded_as_a_tree(client: Client, tmp_path: Path, world: World) -> None:
    folder = tmp_path / "bert"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sub" / "weights.bin").write_bytes(b"w" * 100)
    values = {"name": "bert", "model": {"path": str(folder), "engine": "huggingface"}}
    preview = {change.field: change.after for change in client.diff(values).changes}
    client.deploy(values)
    release = world.control.releases("bert")[0]
    assert release.model == "bert"
    assert release.model_digest == preview["inputs.model"]


def test_a_link_that_leaves_the_folder_is_not_uploaded(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    folder.mkdir()
    (tmp_path / "secret").write_text("x")
    (folder / "config.json").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidInput, match="leads out of the folder"):
        client.deploy({"name": "bert", "model": {"path": str(folder)}})


def test_a_requirements_file_is_sent_as_its_lines(client: Client, spec: Path, world: World) -> None:
    (spec.parent / "requirements.txt").write_text("# ours\nnumpy==2.0.0  # pinned\n\nscipy\n")
    spec.write_text(spec.read_text() + "environment: {requirements: requirements.txt}\n")
    client.deploy(spec)
    with world.store.read() as reading:
        environment = reading.releases("digits")[0].spec.environment
    assert environment.requirements == ("numpy==2.0.0", "scipy")


@pytest.mark.parametrize("line", ["-r other.txt", "--index-url http://x", "a==1 --hash=sha256:0"])
def test_options_in_requirements_are_refused_with_their_line(
    client: Client, spec: Path, line: str
) -> None:
    (spec.parent / "requirements.txt").write_text(f"numpy\n{line}\n")
    spec.write_text(spec.read_text() + "environment: {requirements: requirements.txt}\n")
    with pytest.raises(InvalidInput, match=r"requirements\.txt:2"):
        client.deploy(spec)


def test_a_missing_model_is_named(client: Client, spec: Path) -> None:
    (spec.parent / "model.onnx").unlink()
    with pytest.raises(NotFound, match=r"model\.onnx does not exist"):
        client.deploy(spec)
    with pytest.raises(NotFound, match=r"nowhere\.yaml does not exist"):
        client.deploy(spec.parent / "nowhere.yaml")


def test_what_is_stored_is_not_sent_again(client: Client, spec: Path, world: World) -> None:
    client.deploy(spec)
    world.artefacts.failure = Unavailable("the disk is full")
    assert client.deploy(spec).changed is False


def test_predictions_take_rows_arrays_and_names(client: Client) -> None:
    rows = [[0.1, 0.9], [0.8, 0.2]]
    for data in (rows, np.array(rows, dtype=np.float32), {"image": rows}):
        answer = client.predict("digits", data)
        assert answer["label"] == [1, 0]
        assert answer.release == "digits/v1"
        assert answer.server == {"compute_us": 120.0, "batch_rows": 1.0}
        assert answer.latency_ms > 0


def test_one_row_is_a_batch_of_one(client: Client) -> None:
    assert client.predict("digits", [0.1, 0.9])["label"] == [1]


def test_a_release_can_be_asked_by_name(client: Client) -> None:
    assert client.predict("digits", [[0.1, 0.9]], version="v2").release == "digits/v2"


def test_wrong_data_is_explained_before_it_is_sent(client: Client) -> None:
    with pytest.raises(InvalidInput, match="row 1 has shape"):
        client.predict("digits", [[1.0, 2.0], [1.0]])
    with pytest.raises(InvalidInput, match="unknown input 'picture'"):
        client.predict("digits", {"picture": [[1.0, 2.0]]})


def test_logs_scale_why_and_delete(client: Client, spec: Path) -> None:
    client.deploy(spec)
    assert [line.text for line in client.logs("digits")] == ["started"]
    assert client.scale("digits", 2).replicas == 2
    assert client.why("digits").backend == "digits"
    assert client.delete("digits", reason="done").state == "deleting"


def test_following_logs_gives_new_lines(client: Client, spec: Path, world: World) -> None:
    client.deploy(spec)
    (replica,) = client.backend("digits").replicas
    lines = client.logs("digits", follow=True)
    assert next(lines).text == "started"
    world.driver.log(replica.id, "one")
    world.driver.log(replica.id, "two")
    assert [next(lines).text, next(lines).text] == ["one", "two"]
    lines.close()


def test_following_events_gives_new_ones(client: Client, spec: Path) -> None:
    events = client.follow_events()
    first = next(events)
    assert first.kind == "token:created"
    client.deploy(spec)
    assert next(events).kind == "backend:created"
    events.close()


def test_the_audit_log_verifies_and_exports(client: Client, spec: Path) -> None:
    client.deploy(spec)
    verified = client.audit_verify()
    assert verified.is_intact
    assert sum(1 for _ in client.audit_export()) >= verified.records


def test_tokens_come_and_go(client: Client, world: World) -> None:
    made = client.create_token("ci", "viewer")
    with Client(world.url, made.secret) as viewer:
        assert viewer.status().backends == []
        with pytest.raises(Refused, match="is a viewer"):
            viewer.create_token("more", "viewer")
        client.revoke_token(made.token.id)
        with pytest.raises(Unauthenticated):
            viewer.status()
    assert made.secret not in str(client.tokens())


def test_nothing_at_the_address_says_what_to_do() -> None:
    client = Client("http://127.0.0.1:9", "token")
    with pytest.raises(Unavailable, match="nothing answers") as caught:
        client.status()
    assert "pai up" in caught.value.hint


def test_an_idle_connection_that_the_server_closed_is_replaced(client: Client) -> None:
    client.status()
    line = client._wire._line()
    line.used_at -= 100
    assert client.status().backends == []


def test_a_notebook_sees_tables(client: Client, spec: Path) -> None:
    client.deploy(spec)
    assert "<th>version</th>" in client.releases("digits")._repr_html_()
    assert "digits" in client.status()._repr_html_()
    assert "digits/v1" in client.predict("digits", [[0.0, 1.0]])._repr_html_()
    with pytest.raises(AttributeError, match="no field 'nothing'; fields: version"):
        _ = client.version().nothing


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (503, b'{"error": "no ready replica"}', NotReady, "no ready replica"),
        (404, b'{"error": "no such model"}', NotFound, "no such model"),
        (400, b'{"error": "wrong shape"}', InvalidInput, "wrong shape"),
        (500, b'{"error": "it broke"}', Unavailable, "it broke"),
        (502, b"<html>", Unavailable, "the server answered 502: <html>"),
        (409, b'{"error": {"code": "conflict", "message": "taken"}}', Conflict, "taken"),
        (418, b'{"error": {"code": "new", "message": "odd"}}', PlatformError, "odd"),
        (404, b"", NotFound, "HTTP status 404"),
    ],
)
def test_every_answer_that_is_an_error_becomes_one(
    status: int, body: bytes, kind: type[PlatformError], said: str
) -> None:
    found = fault(status, body)
    assert type(found) is kind
    assert found.message == said
