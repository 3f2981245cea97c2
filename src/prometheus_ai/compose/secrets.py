"""Where secrets may come from, by settings."""

import os
from dataclasses import dataclass
from pathlib import Path

from prometheus_ai.adapters.secret_sources.machine import MachineSecrets, read_secret_file
from prometheus_ai.adapters.secret_sources.vault import VaultSecrets
from prometheus_ai.compose.settings import Settings
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.secret import Secret
from prometheus_ai.domain.secret_spec import SecretReference


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """Implements SecretSource over every place that settings name."""

    machine: MachineSecrets
    vault: VaultSecrets | None = None

    def read(self, reference: SecretReference) -> Secret:
        """Read one secret where it is kept."""
        if reference.vault is None:
            return self.machine.read(reference)
        if self.vault is None:
            raise InvalidInput(
                f"secret {reference.words} cannot be read: the control plane knows no Vault",
                hint="set vault_url and vault_token",
            )
        return self.vault.read(reference)


def open_secrets(settings: Settings) -> Secrets:
    """Open the places that secrets may come from; nothing is read yet."""
    folder = Path(settings.secrets_folder) if settings.secrets_folder else settings.home / "secrets"
    machine = MachineSecrets(environ=os.environ, folder=folder)
    if settings.vault_url is None:
        return Secrets(machine=machine)
    vault = VaultSecrets(
        url=settings.vault_url,
        token=lambda: _token(settings.vault_token or ""),
        namespace=settings.vault_namespace or "",
        authority=Path(settings.vault_ca) if settings.vault_ca else None,
    )
    return Secrets(machine=machine, vault=vault)


def _token(reference: str) -> Secret:
    """Read Vault's token: ``env:NAME`` or ``file:PATH``."""
    kind, _, name = reference.partition(":")
    if kind == "env" and os.environ.get(name):
        return Secret(os.environ[name])
    if kind == "file" and name:
        path = Path(name).absolute()
        found = read_secret_file(
            path.parent, path.name, reference, hint="vault_token names a file that can be read"
        )
        return Secret(found.reveal().strip())
    raise InvalidInput(
        f"Vault's token {reference or '(not set)'} cannot be read",
        hint="set vault_token to env:NAME or file:PATH",
    )
