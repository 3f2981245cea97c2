"""Ending what outlives its starters: replicas, and an Envoy whose gateway process was killed."""

import contextlib
import os
import time

from prometheus_ai.adapters.drivers.local.driver import LocalDriver
from prometheus_ai.adapters.environments.uv import UvEnvironments
from prometheus_ai.adapters.handles import end_process
from prometheus_ai.compose.presence import envoys
from prometheus_ai.compose.settings import Settings
from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.domain.replica import ReplicaPhase

REPLICA_GRACE_S = 10.0
REPLICAS_WAIT_S = 30.0
ENVOY_GRACE_S = 5.0
POLL_S = 0.1


def end_replicas(settings: Settings) -> list[str]:
    """Drain and end every replica of this home on the local target; return their ids.

    Raises:
        Unavailable: some do not end.
    """
    if not settings.replicas.is_dir():
        return []
    environments = UvEnvironments(settings.environments, index_url=settings.index_url)
    driver = LocalDriver(settings.replicas, environments)
    try:
        running = [seen.id for seen in driver.observe() if seen.phase is not ReplicaPhase.EXITED]
        for replica_id in running:
            driver.stop(replica_id, REPLICA_GRACE_S)
        until = time.monotonic() + REPLICAS_WAIT_S
        while left := _still(driver, running):
            if time.monotonic() >= until:
                raise Unavailable(f"replicas do not end: {', '.join(left)}")
            time.sleep(POLL_S)
        return running
    finally:
        driver.close()


def end_envoy(settings: Settings) -> int:
    """End an Envoy that runs in this home's gateway folder; return how many there were."""
    count = 0
    for pid in envoys(settings.gateway):
        with contextlib.suppress(ProcessLookupError):
            # A pidfd names this very process, even after its number is given to another one.
            handle = os.pidfd_open(pid)
            try:
                if pid in envoys(settings.gateway):
                    end_process(handle, ENVOY_GRACE_S)
                    count += 1
            finally:
                os.close(handle)
    return count


def _still(driver: LocalDriver, ids: list[str]) -> list[str]:
    phases = {seen.id: seen.phase for seen in driver.observe()}
    return [one for one in ids if phases.get(one, ReplicaPhase.EXITED) is not ReplicaPhase.EXITED]
