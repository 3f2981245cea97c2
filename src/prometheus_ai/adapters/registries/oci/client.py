"""One image registry over HTTP."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import urljoin, urlsplit

import httpx

from prometheus_ai.adapters.registries.oci.credentials import Credentials
from prometheus_ai.adapters.registries.oci.media import MANIFEST_TYPES, Manifest, read_manifest
from prometheus_ai.adapters.registries.oci.reference import Reference
from prometheus_ai.domain.errors import Corrupted, InvalidInput, NotFound, Refused, Unavailable

MANIFEST_BYTES_MAX = 4 * 2**20
TOKEN_BYTES_MAX = 2**16
CHUNK_BYTES = 1 << 20
CONNECT_S, QUIET_S = 10.0, 120.0
REDIRECTS_MAX = 3
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_JSON = "application/json"


class OciRegistry:
    """The API of the host that a reference names; close it when done."""

    def __init__(
        self,
        place: Reference,
        credentials: Credentials | None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._place = place
        self._credentials = credentials
        self._authorization = ""
        self._http = httpx.Client(
            base_url=place.base_url,
            timeout=httpx.Timeout(QUIET_S, connect=CONNECT_S),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.close()

    def manifest(self, pointer: str) -> Manifest:
        """Return the manifest of a tag or digest.

        Raises:
            NotFound: there is none.
            Corrupted: it does not have the digest that was asked for.
        """
        found = self.find_manifest(pointer)
        if found is None:
            raise NotFound(f"{self._place.name} has no {pointer}")
        return found

    def find_manifest(self, pointer: str) -> Manifest | None:
        """Return the manifest of a tag or digest, None where there is none."""
        answer = self._ask(
            "GET",
            self._path(f"manifests/{pointer}"),
            headers={"accept": ", ".join(MANIFEST_TYPES)},
            missing=True,
        )
        if answer.status_code == 404:
            return None
        if len(answer.content) > MANIFEST_BYTES_MAX:
            raise Corrupted(f"the manifest of {self._place} is absurdly long")
        found = read_manifest(answer.content, answer.headers.get("content-type", ""))
        if pointer.startswith("sha256:") and found.digest != pointer:
            raise Corrupted(f"{self._place.name} answered {found.digest} when asked for {pointer}")
        return found

    def put_manifest(self, pointer: str, manifest: Manifest) -> bool:
        """Store a manifest; return whether the image registry keeps the list of what refers to an image itself."""
        answer = self._ask(
            "PUT",
            self._path(f"manifests/{pointer}"),
            headers={"content-type": manifest.media_type},
            content=manifest.content,
        )
        stored = answer.headers.get("docker-content-digest", manifest.digest)
        if stored != manifest.digest:
            raise Corrupted(f"{self._place.name} stored {stored} instead of {manifest.digest}")
        return "oci-subject" in answer.headers

    def referrers(self, digest: str) -> list[dict[str, Any]] | None:
        """Return what refers to a manifest; None where the image registry cannot say."""
        answer = self._ask("GET", self._path(f"referrers/{digest}"), missing=True)
        if answer.status_code == 404 or "json" not in answer.headers.get("content-type", ""):
            return None
        return list(read_manifest(answer.content, "").fields.get("manifests") or [])

    def has_blob(self, digest: str) -> bool:
        """Whether these bytes are there."""
        return self._ask("HEAD", self._path(f"blobs/{digest}"), missing=True).status_code == 200

    def put_blob(self, digest: str, source: IO[bytes], size_bytes: int) -> None:
        """Store bytes, unless they are there."""
        if self.has_blob(digest):
            return
        begun = self._ask("POST", self._path("blobs/uploads/"), content=b"")
        where = urljoin(str(begun.url), begun.headers.get("location", ""))
        if urlsplit(where).hostname != urlsplit(self._place.base_url).hostname:
            # Our credentials would go with the bytes.
            raise Refused(f"{self._place.host} sends uploads to another host")
        self._ask(
            "PUT",
            where,
            params={**dict(httpx.URL(where).params), "digest": digest},
            headers={
                "content-type": "application/octet-stream",
                "content-length": str(size_bytes),
            },
            content=_pieces(source),
        )

    def get_blob(self, digest: str, size_bytes: int, target: Path) -> None:
        """Write bytes to a file.

        Raises:
            Corrupted: they are others than promised; there is no file then.
        """
        seen, size = hashlib.sha256(), 0
        aside = target.with_name(f"{target.name}.part")
        try:
            with self._said(), aside.open("wb") as file:
                for chunk in self._stream(self._path(f"blobs/{digest}")):
                    size += len(chunk)
                    if size > size_bytes:
                        break
                    seen.update(chunk)
                    file.write(chunk)
            if f"sha256:{seen.hexdigest()}" != digest or size != size_bytes:
                raise Corrupted(f"{self._place.name} gave other bytes than {digest}")
            aside.rename(target)
        finally:
            aside.unlink(missing_ok=True)

    def _stream(self, path: str) -> Iterator[bytes]:
        """Yield a blob's bytes; another host that keeps them gets no credentials of ours."""
        url, headers = path, {"authorization": self._authorization}
        for _ in range(REDIRECTS_MAX + 1):
            sent = {name: value for name, value in headers.items() if value}
            with self._http.stream("GET", url, headers=sent) as answer:
                if answer.is_redirect:
                    url = urljoin(str(answer.url), answer.headers["location"])
                    if httpx.URL(url).host != answer.url.host:
                        headers = {}
                    continue
                if answer.status_code == 401 and headers and self._answer(answer):
                    headers = {"authorization": self._authorization}
                    continue
                _check(answer.status_code, f"{self._place.name} {path}", "")
                yield from answer.iter_bytes(CHUNK_BYTES)
                return
        raise Unavailable(f"{self._place.host} redirects without an end")

    def _path(self, rest: str) -> str:
        return f"/v2/{self._place.repository}/{rest}"

    def _ask(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        missing: bool = False,
        **more: Any,
    ) -> httpx.Response:
        with self._said():
            answer = self._send(method, url, headers or {}, more)
            if answer.status_code == 401 and self._answer(answer):
                source = more.get("content")
                if isinstance(source, _Pieces):
                    source.rewind()
                answer = self._send(method, url, headers or {}, more)
        if answer.status_code == 404 and missing:
            return answer
        _check(answer.status_code, f"{method} {self._place.name}", answer.text)
        return answer

    def _send(
        self, method: str, url: str, headers: dict[str, str], more: dict[str, Any]
    ) -> httpx.Response:
        sent = {**headers}
        if self._authorization:
            sent["authorization"] = self._authorization
        return self._http.request(method, url, headers=sent, **more)

    def _answer(self, refused: httpx.Response) -> bool:
        """Do what a host asks of visitors; return whether there is something new to present."""
        kind, _, rest = refused.headers.get("www-authenticate", "").partition(" ")
        before = self._authorization
        if kind.lower() == "basic" and self._credentials is not None:
            given = (self._credentials.user, self._credentials.password.reveal())
            signed = httpx.BasicAuth(*given).auth_flow(httpx.Request("GET", self._place.base_url))
            self._authorization = next(signed).headers["authorization"]
        elif kind.lower() == "bearer":
            self._authorization = f"Bearer {self._token(dict(_CHALLENGE.findall(rest)))}"
        return self._authorization != before

    def _token(self, challenge: dict[str, str]) -> str:
        realm = httpx.URL(challenge.get("realm", ""))
        if realm.scheme != "https" and realm.host != httpx.URL(self._place.base_url).host:
            raise Refused(f"{self._place.host} wants credentials sent over plain HTTP elsewhere")
        given = self._credentials
        query = {k: v for k, v in challenge.items() if k in ("service", "scope") and v}
        answer = self._http.get(
            realm,
            params={**dict(realm.params), **query},
            auth=(given.user, given.password.reveal()) if given else None,
        )
        _check(answer.status_code, f"the token of {self._place.host}", "")
        try:
            found = answer.json()
            return str(found.get("token") or found["access_token"])
        except (ValueError, KeyError, AttributeError):
            raise Unavailable(f"{realm.host} gave no token") from None

    def _said(self) -> "_Said":
        return _Said(self._place.host)


class _Said:
    """Turns what the network does into errors of ours."""

    def __init__(self, host: str) -> None:
        self._host = host

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
            raise InvalidInput(f"{self._host} sent an address that is none") from None
        if isinstance(error, httpx.HTTPError):
            raise Unavailable(
                f"image registry {self._host} cannot be reached: {type(error).__name__} {error}",
                hint="plain HTTP is spoken to this machine alone; others need HTTPS",
            ) from error


class _Pieces:
    """A file as a body that can be sent twice, and in pieces."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._source.read(CHUNK_BYTES):
            yield chunk

    def rewind(self) -> None:
        """Begin again."""
        self._source.seek(0)


def _pieces(source: IO[bytes]) -> _Pieces:
    return _Pieces(source)


def _check(status: int, what: str, said: str) -> None:
    if status < 400:
        return
    if status in (401, 403):
        raise Refused(
            f"{what}: not allowed ({status})",
            hint="`docker login HOST`, or set PAI_REGISTRY_USER and PAI_REGISTRY_PASSWORD",
        )
    if status == 404:
        raise NotFound(f"{what}: not there")
    if status in (408, 429) or status >= 500:
        raise Unavailable(f"{what}: status {status}")
    raise InvalidInput(f"{what}: status {status} {said[:200]}")
