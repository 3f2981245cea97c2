"""Settings of one installation, from its home folder, the environment and the command line."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from prometheus_ai.domain.errors import InvalidInput

DEFAULT_HOME = "~/.pai"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """One installation. Environment variables are ``PAI_`` plus the upper-case name."""

    home: Path
    """Everything the platform keeps on this machine; created with mode 0700."""
    api_host: str = "127.0.0.1"
    """Address on which the control plane's API listens."""
    api_port: int = 7070
    """Port of the control plane's API."""
    gateway_host: str = "127.0.0.1"
    """Address on which the gateway takes requests for every backend."""
    gateway_port: int = 7080
    """Port of the gateway."""
    reconcile_s: float = 1.0
    """Longest pause between two passes of the control loop; a change wakes it at once."""
    scrape_s: float = 2.0
    """Pause between two readings of the gateway's counters."""
    windows_kept_days: int = 30
    """How long measurements are kept."""
    prometheus_url: str | None = None
    """A Prometheus whose numbers rollouts may be judged by, such as ``http://127.0.0.1:9090``."""
    price_cpu_hour: float = 0.04
    """What a CPU costs for an hour, in any currency; rollouts compare cost per request by it."""
    price_gib_hour: float = 0.005
    """What a GiB of memory costs for an hour."""
    price_gpu_hour: float = 2.0
    """What a GPU costs for an hour."""
    index_url: str | None = None
    """Package index for model environments; uv's own default when absent."""
    secrets_folder: str | None = None
    """The folder that ``file`` references of secrets reach; ``secrets`` in the home folder when absent."""
    vault_url: str | None = None
    """Address of a HashiCorp Vault for ``vault`` references of secrets, such as ``https://vault:8200``."""
    vault_token: str | None = None
    """Where Vault's token is: ``env:NAME`` or ``file:PATH``; never the token itself."""
    vault_namespace: str | None = None
    """Namespace in Vault, where its edition has them."""
    vault_ca: str | None = None
    """File with the authority that signed Vault's certificate; the machine's own ones when absent."""

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.home / "state" / "pai.db"

    @property
    def artefacts(self) -> Path:
        """The content-addressed store."""
        return self.home / "artefacts"

    @property
    def environments(self) -> Path:
        """Virtual environments of releases, by content."""
        return self.home / "environments"

    @property
    def replicas(self) -> Path:
        """One folder for each replica on the local target."""
        return self.home / "replicas"

    @property
    def gateway(self) -> Path:
        """The gateway's last good table, Envoy's files and logs."""
        return self.home / "gateway"

    @property
    def notices(self) -> Path:
        """Notices that a replica's machine goes away, one file for each."""
        return self.home / "notices"

    @property
    def run(self) -> Path:
        """Sockets, process records and locks of the running processes."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        """Logs of the platform's own processes."""
        return self.home / "logs"

    @property
    def credentials(self) -> Path:
        """The local administrator's token, mode 0600."""
        return self.home / "credentials.json"

    @property
    def api_url(self) -> str:
        """Where the control plane answers."""
        return f"http://{self.api_host}:{self.api_port}"

    @property
    def gateway_url(self) -> str:
        """Where the gateway answers."""
        return f"http://{self.gateway_host}:{self.gateway_port}"

    @property
    def gateway_socket(self) -> Path:
        """Unix socket on which the gateway takes tables from the control plane."""
        return self.run / "gateway.sock"


def load_settings(
    environ: Mapping[str, str] | None = None, *, home: Path | None = None, **overrides: Any
) -> Settings:
    """Read settings: defaults, then ``pai.toml`` in the home folder, then environment, then overrides.

    Raises:
        InvalidInput: a setting is unknown or has the wrong type; names file or variable.
    """
    environ = os.environ if environ is None else environ
    root = home or Path(environ.get("PAI_HOME") or DEFAULT_HOME).expanduser()
    settings = Settings(home=root.absolute())
    types = {field.name: field.type for field in fields(Settings) if field.name != "home"}
    values: dict[str, tuple[str, Any]] = {}
    path = root / "pai.toml"
    if path.exists():
        try:
            stored = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            raise InvalidInput(f"{path}: not valid TOML: {error}") from error
        for name, value in stored.items():
            if name not in types:
                raise InvalidInput(
                    f"{path}: unknown setting {name!r}",
                    hint=f"known settings: {', '.join(sorted(types))}",
                )
            values[name] = (str(path), value)
    for name in types:
        variable = f"PAI_{name.upper()}"
        if variable in environ:
            values[name] = (variable, environ[variable])
    for name, value in overrides.items():
        if value is not None:
            values[name] = (f"--{name.replace('_', '-')}", value)
    parsed = {name: _parse(name, types[name], *value) for name, value in values.items()}
    return replace(settings, **parsed)


def _parse(name: str, kind: Any, source: str, value: Any) -> Any:
    wanted = {int: int, float: float}.get(kind, str)
    try:
        return wanted(value)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{source}: {name} must be {wanted.__name__}, not {value!r}") from error
