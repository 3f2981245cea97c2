"""What is free on a target, by what replicas declare.

Memory and GPUs are counted; cores are shared, so that they are said but never refuse anything.
"""

import math

from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.replica import (
    Action,
    DrainReplica,
    ReplicaGoal,
    StartReplica,
    StopReplica,
)
from prometheus_ai.domain.spec import Spec
from prometheus_ai.ports.state_store import Reading
from prometheus_ai.reconcile import BackendView
from prometheus_ai.rollout import Room

CPU_SHARED = math.inf
"""Replicas of one machine share its cores: more of them are slower, and none is turned away."""


def size_of(spec: Spec) -> Room:
    """Return what one replica declares to take."""
    return Room(cpu=0.0, memory_bytes=spec.resources.memory_bytes, gpu=spec.resources.gpu)


def free_room(plane: Plane, reading: Reading, target: str) -> Room:
    """Return what is free on a target beside every replica that has not ended."""
    total = plane.driver(target).capabilities()
    specs = {(r.backend, r.version): r.spec for r in reading.releases()}
    memory, gpus = total.memory_bytes_total, total.gpus
    for record in reading.open_replicas():
        spec = specs.get((record.backend, record.version))
        if spec is not None and record.target == target:
            memory -= spec.resources.memory_bytes
            gpus -= spec.resources.gpu
    return Room(cpu=CPU_SHARED, memory_bytes=max(0, memory), gpu=max(0, gpus))


def cores_declared(reading: Reading, target: str) -> float:
    """Return the cores that all replicas on a target declare together."""
    specs = {(r.backend, r.version): r.spec for r in reading.releases()}
    found = (specs.get((record.backend, record.version)) for record in reading.open_replicas())
    return sum(spec.resources.cpu for spec in found if spec is not None and spec.target == target)


def starts_that_fit(
    plane: Plane, view: BackendView, specs: dict[str, Spec], actions: tuple[Action, ...]
) -> tuple[Action, ...]:
    """Leave out starts that must wait for room which replicas of the same backend are giving up just now."""
    leaving = {action.id for action in actions if isinstance(action, DrainReplica | StopReplica)}
    ending = {
        release.target
        for release in view.releases
        for record in release.records
        if record.goal is not ReplicaGoal.RUN or record.id in leaving
    }
    waiting = {
        action.target
        for action in actions
        if isinstance(action, StartReplica) and action.target in ending
    }
    if not waiting:
        return actions
    with plane.store.read() as reading:
        free = {target: free_room(plane, reading, target) for target in waiting}
    allowed: list[Action] = []
    for action in actions:
        if isinstance(action, StartReplica) and action.target in waiting:
            size = size_of(specs[action.version])
            if free[action.target].holds(size) < 1:
                continue
            free[action.target] = free[action.target].plus(size, -1)
        allowed.append(action)
    return tuple(allowed)
