"""What builds need to reach a package index, as secrets of a build."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_CA = "/dev/pai_ca"
_CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildNetwork:
    """A user's own index, proxies and certificate authorities."""

    index_url: str | None = None
    ca_file: Path | None = None
    proxies: Mapping[str, str] = field(default_factory=dict)

    def shell(self) -> str:
        """Return shell assignments that a build step reads."""
        values: dict[str, str] = {}
        if self.index_url:
            values |= {"UV_DEFAULT_INDEX": self.index_url, "PIP_INDEX_URL": self.index_url}
        if self.ca_file:
            values |= dict.fromkeys(_CA_VARIABLES, _CA)
        for name, value in self.proxies.items():
            values |= {name: value, name.lower(): value}
        return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def network_of(environ: Mapping[str, str], index_url: str | None) -> BuildNetwork:
    """Take what this process itself uses."""
    proxies = {
        name: environ.get(name) or environ.get(name.lower(), "")
        for name in _PROXIES
        if environ.get(name) or environ.get(name.lower())
    }
    ca = environ.get("SSL_CERT_FILE", "")
    is_there = bool(ca) and Path(ca).is_file()
    index = index_url or environ.get("UV_DEFAULT_INDEX") or None
    return BuildNetwork(index_url=index, ca_file=Path(ca) if is_there else None, proxies=proxies)
