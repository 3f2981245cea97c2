"""The control plane, put together from settings."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from prometheus_ai.adapters.artefacts.filesystem.store import FilesystemArtefactStore
from prometheus_ai.adapters.drivers.local.driver import LocalDriver
from prometheus_ai.adapters.environments.uv.environments import UvEnvironments
from prometheus_ai.adapters.inspectors.runtime import RuntimeInspector
from prometheus_ai.adapters.notice_folder import NoticeFolder
from prometheus_ai.adapters.profile_client import ProfileClient
from prometheus_ai.adapters.stores.home_lock import HomeLock
from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.compose.audit_check import check_apart
from prometheus_ai.compose.clock import SystemClock
from prometheus_ai.compose.gate import open_gate
from prometheus_ai.compose.gateway import gateway_client
from prometheus_ai.compose.hearing import open_database, open_hearing
from prometheus_ai.compose.settings import Settings
from prometheus_ai.compose.targets import Targets, know_installation, open_secrets
from prometheus_ai.control.begin import begin, first_token
from prometheus_ai.control.containers.targets import close_targets, open_targets
from prometheus_ai.control.control_plane import ControlPlane
from prometheus_ai.control.loops import Loops
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.errors import Corrupted

WORKERS_MAX = 4
"""Launches and preparations at once; each verifies bytes or runs uv, so more would only wait for the disk."""


@dataclass
class RunningControlPlane:
    """A control plane with its loops; ``close`` leaves replicas and gateway as they are."""

    control: ControlPlane
    loops: Loops
    _resources: ExitStack

    def start(self) -> None:
        """Adopt what runs, then start the loops."""
        begin(self.control.plane)
        self.loops.start()

    def close(self) -> None:
        """Stop the loops and release everything."""
        self.loops.stop()
        self._resources.close()


def open_control_plane(settings: Settings) -> RunningControlPlane:
    """Open state, target and gateway client of a home folder; make the first token on the first start.

    Raises:
        Conflict: another control plane serves this home folder.
        Corrupted: the state is damaged; says what to do.
        Unavailable: the home folder cannot be written.
    """
    _make_home(settings)
    with ExitStack() as resources:
        lock = HomeLock.acquire(settings.run)
        resources.callback(lock.release)
        store = SqlStore.open(settings.database)
        resources.callback(store.close)
        plane = _plane(settings, store, resources)
        loops = Loops(
            plane=plane,
            reconcile_s=settings.reconcile_s,
            scrape_s=settings.scrape_s,
            kept=timedelta(days=settings.windows_kept_days),
        )
        _keep_credentials(settings, plane)
        return RunningControlPlane(
            control=ControlPlane(plane), loops=loops, _resources=resources.pop_all()
        )
    raise AssertionError("unreachable")


def _plane(settings: Settings, store: SqlStore, resources: ExitStack) -> Plane:
    environments = UvEnvironments(settings.environments, index_url=settings.index_url)
    wake = threading.Event()
    driver = LocalDriver(settings.replicas, environments, on_change=wake.set)
    resources.callback(driver.close)
    workers = ThreadPoolExecutor(max_workers=WORKERS_MAX, thread_name_prefix="work")
    resources.callback(workers.shutdown, wait=False, cancel_futures=True)
    gateway = gateway_client(settings)
    artefacts = FilesystemArtefactStore(settings.artefacts)
    targets = Targets(
        settings=settings,
        store=store,
        artefacts=artefacts,
        wheels=environments,
        home=know_installation(store),
        on_change=wake.set,
    )
    plane = Plane(
        store=store,
        artefacts=artefacts,
        drivers={"local": driver},
        routes=gateway,
        metrics=gateway,
        activator=gateway,
        profiles=ProfileClient(),
        notices=NoticeFolder(settings.notices),
        resolver=environments,
        inspector=RuntimeInspector(environments),
        clock=SystemClock(),
        workers=workers,
        gate=open_gate(settings),
        secrets=open_secrets(settings),
        database=open_database(settings, resources),
        hearing=open_hearing(settings, resources),
        gateway_url=settings.gateway_url,
        audit_check=partial(check_apart, settings.database),
        checkpoint_path=settings.database.parent / "audit-checkpoint.json",
        wake=wake,
        opener=targets,
        wheels=environments,
    )
    open_targets(plane)
    resources.callback(close_targets, plane)
    return plane


def _make_home(settings: Settings) -> None:
    for folder in (settings.home, settings.run, settings.logs, settings.database.parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _keep_credentials(settings: Settings, plane: Plane) -> None:
    """Make the local token on the first start; afterwards keep its address up to date."""
    if not settings.credentials.exists():
        _write_credentials(settings, first_token(plane).secret)
        return
    try:
        held = json.loads(settings.credentials.read_text())
        is_current, secret = held["url"] == settings.api_url, str(held["token"])
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupted(
            f"{settings.credentials}: not the credentials that this platform writes",
            hint="remove the file: the next start makes a new local token",
        ) from error
    if not is_current:
        _write_credentials(settings, secret)


def _write_credentials(settings: Settings, secret: str) -> None:
    """Leave the local administrator's token where the command line looks for it, readable by its owner alone."""
    aside = Path(f"{settings.credentials}.new")
    aside.unlink(missing_ok=True)
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({"url": settings.api_url, "token": secret}, file)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(settings.credentials)
