"""A target that was added: a place to run, beside ``local``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

LOCAL = "local"


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetRecord:
    """Where a target is and how it is used."""

    name: str
    url: str
    """Address of a Docker Engine: ``unix:///var/run/docker.sock`` or ``tcp://HOST:PORT``."""
    tls_folder: str = ""
    """Folder with ca.pem, cert.pem and key.pem, for an engine behind TLS."""
    address: str = ""
    """Where the gateway reaches ports of that machine; empty where it reaches containers themselves."""
    gpus: int | None = None
    """GPUs that replicas may be given; counted on this machine when None."""
    allows_egress: bool = False
    """Whether replicas may open connections to the outside."""
    log_driver: str = "json-file"
    log_options: Mapping[str, str] = field(default_factory=dict)
    added_at: datetime
