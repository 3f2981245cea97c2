"""What holds for every route: roles, errors, bounds, headers, description."""

import hashlib
import json
from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import APIRoute

from prometheus_ai.api.access import Needs
from prometheus_ai.api.app import create_schema
from prometheus_ai.api.guard import BODY_BYTES_MAX
from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.domain.event import Role
from tests.unit.api.world import World

OPEN_PATHS = {"/healthz"}
SPEC = {"name": "digits", "model": {"path": "model.onnx", "engine": "onnx"}}
MODEL = b"model"
DIGEST = f"sha256:{hashlib.sha256(MODEL).hexdigest()}"


@pytest.fixture
def http(world: World) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {world.token()}"}
    with httpx.Client(base_url=f"{world.url}/api/v1", headers=headers, timeout=10) as client:
        yield client


def routes(world: World) -> dict[str, APIRoute]:
    """Return every route of the application by method and full path."""
    found = {}
    for included in world.app.routes:
        for route in included.original_router.routes:  # FastAPI keeps the routers that it includes
            path = route.path if route.path in OPEN_PATHS else f"/api/v1{route.path}"
            (method,) = route.methods
            found[f"{method} {path}"] = route
    assert len(found) > 20
    return found


def needed_role(route: APIRoute) -> Role | None:
    """Return the role that a route declares."""
    calls = [dependency.call for dependency in route.dependant.dependencies]
    return next((call.role for call in calls if isinstance(call, Needs)), None)


def upload(http: httpx.Client, content: bytes = MODEL) -> str:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert http.put(f"/artefacts/{digest}", content=content).status_code == 201
    return digest


def test_every_route_but_health_declares_a_role(world: World) -> None:
    found = routes(world)
    described = {
        f"{method.upper()} {path}"
        for path, methods in create_schema()["paths"].items()
        for method in methods
    }
    assert set(found) == described
    for name, route in found.items():
        assert (needed_role(route) is None) == (route.path in OPEN_PATHS), name


def test_every_route_that_changes_something_needs_more_than_a_viewer(world: World) -> None:
    reads = {"check_spec", "diff", "plan", "audit_verify"}
    for name, route in routes(world).items():
        if not name.startswith(("GET", "HEAD")) and route.operation_id not in reads:
            assert needed_role(route) in (Role.DEPLOYER, Role.ADMIN), name


def test_every_declared_role_is_enforced(world: World) -> None:
    tokens = {role: world.token(role.value, f"a {role.value}") for role in Role}
    smaller = {Role.DEPLOYER: Role.VIEWER, Role.ADMIN: Role.DEPLOYER}
    with httpx.Client(base_url=world.url) as client:
        for name, route in routes(world).items():
            role = needed_role(route)
            if role is None:
                continue
            method, _, path = name.replace("{digest}", DIGEST).partition(" ")
            assert client.request(method, path).status_code == 401, name
            if role in smaller:
                headers = {"authorization": f"Bearer {tokens[smaller[role]]}"}
                assert client.request(method, path, headers=headers).status_code == 403, name


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic dTpw", "Bearer pai_x"])
def test_wrong_credentials_are_refused(world: World, header: str) -> None:
    answer = httpx.get(f"{world.url}/api/v1/status", headers={"authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "unauthenticated"


def test_health_needs_no_token_and_tells_nothing(world: World) -> None:
    answer = httpx.get(f"{world.url}/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::2]", ""])
def test_a_rebound_name_is_refused(world: World, http: httpx.Client, host: str) -> None:
    assert http.get("/status", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:7070", "127.0.0.1", "[::1]:7070", "LOCALHOST"])
def test_names_of_loopback_are_accepted(http: httpx.Client, host: str) -> None:
    assert http.get("/status", headers={"host": host}).status_code == 200


def test_every_answer_carries_the_security_headers(http: httpx.Client) -> None:
    for answer in (http.get("/status"), http.get("/nowhere"), http.get("/backends/none")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nowhere", None, 404, "not_found"),
        ("PATCH", "/status", None, 405, "invalid_input"),
        ("GET", "/backends/none", None, 404, "not_found"),
        ("PUT", "/backends/none/route", {"weights": {"v1": 100}}, 404, "not_found"),
        ("PUT", "/backends/none/route", {"weights": {"v1": 50}}, 422, "invalid_input"),
        ("PUT", "/backends/none/route", {"weight": {"v1": 50}}, 422, "invalid_input"),
        ("PUT", "/backends/none/replicas", {"replicas": "3"}, 422, "invalid_input"),
        ("PUT", "/backends/none/replicas", {"replicas": 1001}, 422, "invalid_input"),
        ("POST", "/deploys", {"spec": {"name": "a"}}, 422, "invalid_spec"),
        ("POST", "/deploys", {"spec": SPEC}, 404, "not_found"),
        ("POST", "/specs/check", {"text": "a: b", "values": {}}, 422, "invalid_input"),
        ("POST", "/tokens", {"name": "x", "role": "king"}, 422, "invalid_input"),
        ("DELETE", "/tokens/none", None, 404, "not_found"),
        ("GET", "/events?limit=0", None, 422, "invalid_input"),
        ("PUT", "/artefacts/sha256:abc", None, 422, "invalid_input"),
        ("POST", "/artefacts/trees", {"files": {"../x": DIGEST}}, 422, "invalid_input"),
    ],
)
def test_errors_have_one_shape(
    http: httpx.Client, method: str, path: str, body: object, status: int, code: str
) -> None:
    answer = http.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert set(error) == {"code", "message", "hint", "problems", "source"}


def test_every_problem_of_a_spec_comes_with_its_place(http: httpx.Client) -> None:
    body = {"text": "nme: a\nmodel: {path: m, engine: onx}\n", "source": "pai.yaml"}
    error = http.post("/specs/check", json=body).json()["error"]
    assert [(one["line"], one["field"]) for one in error["problems"]] == [
        (1, "nme"),
        (1, "name"),
        (2, "model.engine"),
    ]
    assert error["source"] == "pai.yaml"


def test_large_bodies_are_refused_before_they_are_read(http: httpx.Client) -> None:
    declared = http.post("/specs/check", content=b"x" * (BODY_BYTES_MAX + 1))
    assert declared.status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 65536 + 2):
            yield b"x" * 65536

    try:
        undeclared = http.post("/specs/check", content=endless())
    except httpx.TransportError:
        return  # the server may hang up while we still send
    assert undeclared.status_code >= 400


def test_an_artefact_is_kept_only_with_its_own_digest(http: httpx.Client, world: World) -> None:
    wrong = http.put(f"/artefacts/{DIGEST}", content=b"other bytes")
    assert wrong.status_code == 422
    assert http.head(f"/artefacts/{DIGEST}").status_code == 404
    upload(http)
    assert http.head(f"/artefacts/{DIGEST}").status_code == 204
    assert world.artefacts.has(DIGEST)


def test_a_large_artefact_is_streamed(http: httpx.Client, world: World) -> None:
    content = bytes(range(256)) * (BODY_BYTES_MAX // 256 + 1000)
    assert world.artefacts.size_bytes(upload(http, content)) == len(content)


def test_an_upload_that_breaks_off_leaves_nothing(http: httpx.Client, world: World) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half of "
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        http.put(f"/artefacts/{DIGEST}", content=broken())
    assert not world.artefacts.has(DIGEST)


def test_a_full_disk_is_a_clear_answer(http: httpx.Client, world: World) -> None:
    world.artefacts.failure = Unavailable("the disk is full", hint="free some space")
    answer = http.put(f"/artefacts/{DIGEST}", content=MODEL)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["error"] | {"problems": [], "source": ""} == {
        "code": "unavailable",
        "message": "the disk is full",
        "hint": "free some space",
        "problems": [],
        "source": "",
    }


def test_the_actor_and_reason_of_a_change_are_recorded(http: httpx.Client) -> None:
    body = {
        "spec": SPEC,
        "model": {"digest": upload(http), "name": "model.onnx"},
        "reason": "first model",
    }
    deployed = http.post("/deploys", json=body)
    assert deployed.status_code == 202
    assert deployed.json()["version"] == "v1"
    created = [e for e in http.get("/events").json() if e["kind"] == "release:created"]
    assert [(event["actor"], event["reason"]) for event in created] == [("tester", "first model")]


def test_an_uploaded_model_can_be_inspected(http: httpx.Client) -> None:
    model = {"digest": upload(http), "name": "model.onnx"}
    found = http.post("/inspections", json={"model": model}).json()
    assert found["engine"] == "onnx"
    unknown = {"digest": upload(http), "name": "model.bin"}
    assert http.post("/inspections", json={"model": unknown}).status_code == 422


def test_a_fault_of_our_own_tells_nothing_inside(http: httpx.Client, world: World) -> None:
    world.control.status = lambda: 1 / 0
    answer = http.get("/status")
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text
    assert answer.json()["error"]["code"] == "platform_error"


def test_streams_are_bounded(http: httpx.Client, world: World) -> None:
    streams = world.app.state.streams
    streams._open = streams._streams_max
    assert http.get("/events/stream").status_code == 503


def test_the_description_is_complete() -> None:
    schema = create_schema()
    ids = []
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            ids.append(operation["operationId"])
            assert operation["summary"], path
            assert operation["description"], path
            assert ("security" in operation) == (path not in OPEN_PATHS), path
            for status in ("401", "404", "422") if path not in OPEN_PATHS else ():
                reference = operation["responses"][status]["content"]["application/json"]["schema"]
                assert reference == {"$ref": "#/components/schemas/ErrorBody"}, (path, status)
    assert len(ids) == len(set(ids))
    json.dumps(schema)
