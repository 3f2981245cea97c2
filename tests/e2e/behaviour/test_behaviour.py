"""What the platform does is the same on every target: one suite, three worlds."""

import pytest

from tests.e2e.behaviour.worlds import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def ready(world: World, name: str, count: int = 1) -> bool:
    return sum(phase == "ready" for phase in world.view(name)["replicas"].values()) >= count


def serves(world: World, name: str, weights: dict[str, float]) -> bool:
    return dict(world.view(name)["weights"]) == weights


def deployed(world: World, name: str, **fields: object) -> str:
    version = world.deploy(name, 2.0, **fields)
    world.until("served", lambda: serves(world, name, {version: 100.0}))
    return version


def test_a_deployed_model_answers(world: World, name: str) -> None:
    version = deployed(world, name)
    assert world.answers(name, 10) == {version: 10}


def test_deploying_again_changes_nothing(world: World, name: str) -> None:
    version = deployed(world, name)
    before = world.view(name)
    assert world.deploy(name, 2.0) == version
    assert world.view(name) == before


def test_traffic_follows_the_route(world: World, name: str) -> None:
    first = deployed(world, name)
    second = world.deploy(name, 3.0, route={"weight": 50})
    world.until("split", lambda: serves(world, name, {first: 50.0, second: 50.0}))
    found = world.answers(name, 60)
    assert set(found) == {first, second}
    assert sum(found.values()) == 60
    world.verb("route", name, {first: 100})
    world.until("returned", lambda: serves(world, name, {first: 100.0}))
    assert world.answers(name, 10) == {first: 10}


def test_a_release_is_promoted_and_rolled_back(world: World, name: str) -> None:
    first = deployed(world, name)
    second = world.deploy(name, 3.0, route={"weight": 10})
    world.until("canary", lambda: serves(world, name, {first: 90.0, second: 10.0}))
    world.verb("promote", name, version=second)
    world.until("promoted", lambda: serves(world, name, {second: 100.0}))
    assert world.answers(name, 10) == {second: 10}
    world.verb("rollback", name)
    world.until("rolled back", lambda: serves(world, name, {first: 100.0}))
    assert world.answers(name, 10) == {first: 10}


def test_replicas_are_added_and_drained(world: World, name: str) -> None:
    version = deployed(world, name)
    world.verb("scale", name, 2)
    world.until("two replicas", lambda: ready(world, name, 2))
    world.verb("scale", name, 1)
    world.until("one replica", lambda: len(world.view(name)["replicas"]) == 1)
    assert world.answers(name, 10) == {version: 10}


def test_a_crashed_replica_is_replaced(world: World, name: str) -> None:
    version = deployed(world, name)
    crashed = next(iter(world.view(name)["replicas"]))
    world.crash(crashed)
    world.until(
        "another replica",
        lambda: crashed not in world.view(name)["replicas"] and ready(world, name),
    )
    world.until("answers", lambda: world.answers(name, 1) == {version: 1})


def test_a_restarted_control_plane_adopts_what_runs(world: World, name: str) -> None:
    version = deployed(world, name)
    before = set(world.view(name)["replicas"])
    world.restart()
    world.until("adopted", lambda: ready(world, name))
    assert set(world.view(name)["replicas"]) == before
    assert world.answers(name, 10) == {version: 10}


def test_a_deleted_backend_is_gone(world: World, name: str) -> None:
    deployed(world, name)
    world.verb("delete", name)
    world.until("gone", lambda: world.is_gone(name))
    assert not world.answers(name, 3)
