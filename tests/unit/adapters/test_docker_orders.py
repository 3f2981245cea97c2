"""What the engine is asked for: hardened unless the spec says why not, devices and logs as written."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prometheus_ai.adapters.drivers.docker.machine import facts_of, too_large
from prometheus_ai.adapters.drivers.docker.orders import Place, container_of
from prometheus_ai.domain.image_spec import ContainerSpec
from prometheus_ai.domain.secret import Secret
from prometheus_ai.domain.spec import ModelSpec, ResourcesSpec, Spec
from prometheus_ai.ports.driver import ReplicaOrder
from tests.contract.orders import standin_order

PLACE = Place(home="h", target="docker", image="sha256:1", image_labels={}, has_init=True)


@pytest.fixture
def order(tmp_path: Path) -> ReplicaOrder:
    return standin_order(tmp_path, "a", {})


def with_container(order: ReplicaOrder, **fields: Any) -> ReplicaOrder:
    spec = order.release.spec.model_copy(update={"container": ContainerSpec(**fields)})
    return replace(order, release=replace(order.release, spec=spec))


def host(order: ReplicaOrder, place: Place = PLACE) -> dict[str, Any]:
    made: dict[str, Any] = container_of(order, place)["HostConfig"]
    return made


def test_without_exceptions_everything_is_hardened(order: ReplicaOrder) -> None:
    made = host(order)
    assert container_of(order, PLACE)["User"] == "10001:10001"
    assert made["ReadonlyRootfs"] is True
    assert "noexec" in made["Tmpfs"]["/tmp"]
    assert (made["CapDrop"], made["CapAdd"]) == (["ALL"], [])
    assert made["SecurityOpt"] == ["no-new-privileges"]
    assert made["PidsLimit"] == 512


@pytest.mark.parametrize(
    ("fields", "where", "made"),
    [
        ({"user": 1000}, ("User",), "1000:1000"),
        ({"read_only_root": False}, ("HostConfig", "ReadonlyRootfs"), False),
        ({"no_new_privileges": False}, ("HostConfig", "SecurityOpt"), []),
        ({"pids": 4096}, ("HostConfig", "PidsLimit"), 4096),
        (
            {"seccomp": "unconfined"},
            ("HostConfig", "SecurityOpt"),
            ["no-new-privileges", "seccomp=unconfined"],
        ),
    ],
)
def test_an_exception_reaches_the_engine(
    order: ReplicaOrder, fields: dict[str, Any], where: tuple[str, ...], made: object
) -> None:
    found: Any = container_of(
        with_container(order, **fields, reasons=dict.fromkeys(fields, "it must")), PLACE
    )
    for part in where:
        found = found[part]
    assert found == made


def test_programs_in_tmp_and_capabilities_are_exceptions_too(order: ReplicaOrder) -> None:
    reasons = dict.fromkeys(("user", "capabilities", "tmp_noexec"), "it must")
    made = host(
        with_container(order, user=0, capabilities=("SYS_NICE",), tmp_noexec=False, reasons=reasons)
    )
    assert made["CapAdd"] == ["SYS_NICE"]
    assert ",exec," in f",{made['Tmpfs']['/tmp']},"


def test_gpus_are_asked_for_by_their_numbers(order: ReplicaOrder) -> None:
    asked = host(order, replace(PLACE, gpus=(1, 3)))["DeviceRequests"]
    assert asked == [{"Driver": "nvidia", "DeviceIDs": ["1", "3"], "Capabilities": [["gpu"]]}]
    assert host(order)["DeviceRequests"] == []


def test_a_log_driver_is_passed_on_with_its_options(order: ReplicaOrder) -> None:
    place = replace(PLACE, log_driver="syslog", log_options={"syslog-address": "udp://log:514"})
    assert host(order, place)["LogConfig"] == {
        "Type": "syslog",
        "Config": {"syslog-address": "udp://log:514"},
    }


def test_no_value_of_a_secret_is_in_what_the_engine_keeps(order: ReplicaOrder) -> None:
    body = container_of(replace(order, secrets={"hub": Secret("hunter2")}), PLACE)
    assert "hunter2" not in repr(body)
    assert body["Cmd"][-2:] == ["--secrets", "/run/secrets"]
    assert "mode=0700" in body["HostConfig"]["Tmpfs"]["/run/secrets"]
    assert "--secrets" not in container_of(order, PLACE)["Cmd"]


def test_a_machine_without_gpus_says_so_and_what_fits() -> None:
    has = facts_of({"NCPU": 2, "MemTotal": 2**33}, {}, gpus=None, is_local=True).capabilities
    resources = ResourcesSpec(gpu=1)
    spec = Spec(name="a", model=ModelSpec(path="m"), target="lab", resources=resources)
    (said,) = too_large(spec, has)
    assert said.startswith("resources.gpu: 1 asked, but target 'lab' (a Docker Engine) has no")
