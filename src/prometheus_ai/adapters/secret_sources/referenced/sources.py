"""One source over every place that is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_ai.adapters.secret_sources.referenced.machine import (
    MachineSecrets,
    read_secret_file,
)
from prometheus_ai.adapters.secret_sources.referenced.vault import VaultSecrets
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.secret import Secret, SecretReference


@dataclass(frozen=True, kw_only=True)
class ReferencedSecrets:
    """Implements SecretSource."""

    machine: MachineSecrets
    vault: VaultSecrets | None = None
    """None where settings name no Vault."""

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


def read_vault_token(reference: str, environ: Mapping[str, str]) -> Secret:
    """Read Vault's token: ``env:NAME`` or ``file:PATH``.

    Raises:
        InvalidInput: it is not there; names the reference alone.
    """
    kind, _, name = reference.partition(":")
    if kind == "env" and environ.get(name):
        return Secret(environ[name])
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
