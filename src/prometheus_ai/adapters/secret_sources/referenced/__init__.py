"""The secrets that specs refer to.

References enter: a variable, a file, a Docker secret, a path in Vault; what is kept there leaves.
It reads anew each time, so that a changed secret counts at the next start.
It keeps nothing, and no message of it holds more than the reference.
"""

from prometheus_ai.adapters.secret_sources.referenced.machine import MachineSecrets
from prometheus_ai.adapters.secret_sources.referenced.sources import (
    ReferencedSecrets,
    read_vault_token,
)
from prometheus_ai.adapters.secret_sources.referenced.vault import VaultSecrets

__all__ = ["MachineSecrets", "ReferencedSecrets", "VaultSecrets", "read_vault_token"]
