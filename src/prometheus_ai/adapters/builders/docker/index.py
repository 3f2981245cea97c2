"""What a package index offers, by its simple interface (PEP 691, or HTML where it has no JSON)."""

import re
import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import httpx

from prometheus_ai.adapters.builders.docker.network import BuildNetwork
from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.domain.image import IndexFile

DEFAULT_INDEX = "https://pypi.org/simple"
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
TIMEOUT_S = 30.0
AT_ONCE = 8
ANSWER_BYTES_MAX = 64 * 2**20
_ANCHOR = re.compile(r"<a\s[^>]*>\s*([^<]+?)\s*</a>", re.IGNORECASE)


def offered(network: BuildNetwork, names: Iterable[str]) -> dict[str, tuple[IndexFile, ...]]:
    """Return the files of each package; none for a package that the index does not know.

    Raises:
        Unavailable: the index cannot be reached.
    """
    index = (network.index_url or DEFAULT_INDEX).rstrip("/")
    context = ssl.create_default_context()
    if network.ca_file is not None:
        context.load_verify_locations(cafile=network.ca_file)
    wanted = list(names)
    with (
        httpx.Client(
            verify=context, timeout=TIMEOUT_S, follow_redirects=True, headers={"accept": ACCEPT}
        ) as client,
        ThreadPoolExecutor(AT_ONCE, "package-index") as pool,
    ):
        found = pool.map(lambda name: _files(client, index, name), wanted)
        return dict(zip(wanted, found, strict=True))


def _files(client: httpx.Client, index: str, name: str) -> tuple[IndexFile, ...]:
    try:
        answer = client.get(f"{index}/{name}/")
    except httpx.HTTPError as error:
        raise Unavailable(
            f"the package index cannot be asked for {name}: {error or type(error).__name__}",
            hint="bases are compared by the wheels that the index has",
        ) from error
    if answer.status_code == 404:
        return ()
    if answer.status_code >= 400 or len(answer.content) > ANSWER_BYTES_MAX:
        raise Unavailable(f"the package index answered {answer.status_code} about {name}")
    if "json" in answer.headers.get("content-type", ""):
        return tuple(
            IndexFile(filename=str(one["filename"]), size_bytes=int(one.get("size") or 0))
            for one in answer.json().get("files", ())
        )
    return tuple(IndexFile(filename=unescape(text)) for text in _ANCHOR.findall(answer.text))
