"""Opening the targets that were added: the only place that knows their kinds."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_ai.adapters.builders.docker.builder import DockerBuilder
from prometheus_ai.adapters.builders.docker.network import network_of
from prometheus_ai.adapters.docker_engine import DockerEngine, Tls
from prometheus_ai.adapters.drivers.docker.driver import DockerDriver, DockerOptions
from prometheus_ai.adapters.secret_sources.referenced import (
    MachineSecrets,
    ReferencedSecrets,
    VaultSecrets,
    read_vault_token,
)
from prometheus_ai.compose.settings import Settings
from prometheus_ai.control.containers.images import ReleaseImageMaker
from prometheus_ai.domain.target import TargetRecord
from prometheus_ai.ports.artefact_store import ArtefactStore
from prometheus_ai.ports.environment import RuntimeWheels
from prometheus_ai.ports.state_store import StateStore
from prometheus_ai.ports.target_opener import OpenedTarget

INSTALLATION = "installation"


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Implements TargetOpener."""

    settings: Settings
    store: StateStore
    artefacts: ArtefactStore
    wheels: RuntimeWheels
    home: str
    on_change: Callable[[], None]

    def open(self, record: TargetRecord) -> OpenedTarget:
        """Open a Docker Engine as a target."""
        tls = Tls(folder=Path(record.tls_folder)) if record.tls_folder else None
        engine = DockerEngine(record.url, tls=tls)
        network = network_of(os.environ, self.settings.index_url)
        builder = DockerBuilder(engine, network)
        images = ReleaseImageMaker(
            builder=builder,
            store=self.store,
            artefacts=self.artefacts,
            wheels=self.wheels,
            home=self.home,
        )
        options = DockerOptions(
            target=record.name,
            home=self.home,
            address=record.address,
            gpus=record.gpus,
            allows_egress=record.allows_egress,
            log_driver=record.log_driver,
            log_options=record.log_options,
        )
        logs = self.settings.home / "container-logs" / record.name
        driver = DockerDriver(engine, images, logs, options, on_change=self.on_change)
        return OpenedTarget(driver=driver, builder=builder)


def know_installation(store: StateStore) -> str:
    """Return the short id of this installation, and make it on the first start."""
    with store.write() as tx:
        known = tx.setting(INSTALLATION)
        if known is None:
            known = secrets.token_hex(4)
            tx.put_setting(INSTALLATION, known)
    return known


def open_secrets(settings: Settings) -> ReferencedSecrets:
    """Open the places that secrets of replicas may come from; nothing is read yet."""
    folder = Path(settings.secrets_folder) if settings.secrets_folder else settings.home / "secrets"
    machine = MachineSecrets(environ=os.environ, folder=folder)
    if settings.vault_url is None:
        return ReferencedSecrets(machine=machine)
    vault = VaultSecrets(
        url=settings.vault_url,
        token=lambda: read_vault_token(settings.vault_token or "", os.environ),
        namespace=settings.vault_namespace or "",
        authority=Path(settings.vault_ca) if settings.vault_ca else None,
    )
    return ReferencedSecrets(machine=machine, vault=vault)
