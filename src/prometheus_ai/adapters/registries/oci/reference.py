"""Names of images: ``host[:port]/repository[:tag][@sha256:digest]``."""

import ipaddress
import re
from dataclasses import dataclass, replace

from prometheus_ai.domain.errors import InvalidInput

HUB = "docker.io"
_HUB_HOST = "registry-1.docker.io"
_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """One image at one image registry."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Host and repository: what signatures name."""
        return f"{self.host}/{self.repository}"

    @property
    def pointer(self) -> str:
        """What to ask the image registry for: the digest where there is one, else the tag."""
        return self.digest or self.tag

    @property
    def base_url(self) -> str:
        """Where its API is: plain HTTP on this machine alone."""
        host = _HUB_HOST if self.host == HUB else self.host
        return f"{'http' if _is_loopback(host) else 'https'}://{host}"

    def at(self, digest: str) -> "Reference":
        """Return the same repository at a digest."""
        return replace(self, tag="", digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}{f'@{self.digest}' if self.digest else ''}"


def read_reference(text: str) -> Reference:
    """Read a reference; without a tag and digest it means ``latest``.

    Raises:
        InvalidInput: it is none.
    """
    rest, _, digest = text.partition("@")
    host, slash, path = rest.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, path = HUB, rest if slash else f"library/{rest}"
    repository, _, tag = path.partition(":")
    wrong = (
        not _HOST.fullmatch(host)
        or not _REPOSITORY.fullmatch(repository)
        or (tag and not _TAG.fullmatch(tag))
        or (digest and not _DIGEST.fullmatch(digest))
        or ("@" in text and not digest)
    )
    if wrong:
        raise InvalidInput(
            f"{text!r} names no image", hint="write HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:…"
        )
    return Reference(
        host=host, repository=repository, tag=tag or ("" if digest else "latest"), digest=digest
    )


def _is_loopback(host: str) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
