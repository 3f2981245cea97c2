"""Downloads that resume where they broke."""

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from prometheus_ai.adapters.artefacts.filesystem.files import (
    digest_of,
    disk_errors,
    hex_of,
)
from prometheus_ai.domain.errors import Corrupted, InvalidInput, Unavailable

_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, kw_only=True, slots=True)
class DownloadBounds:
    """How long and how large a download may be."""

    attempts: int = 6
    """Tries in a row that brought no byte; a try that brought some starts the count again."""
    connect_timeout_s: float = 10.0
    silence_s: float = 30.0
    """Longest wait for the next bytes."""
    total_s: float = 6 * 3600.0
    bytes_max: int = 500 * 10**9
    pause_s: float = 0.5
    """First pause between tries; doubles up to 16 times."""
    turn_s: float = 3600.0
    """Longest wait for another download of the same digest."""


class Downloads:
    """Partial files by digest; several callers for one digest take turns."""

    def __init__(
        self,
        root: Path,
        *,
        bounds: DownloadBounds | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._root = root
        self._bounds = bounds or DownloadBounds()
        self._wait = wait

    @contextlib.contextmanager
    def turn(self, url: str, digest: str) -> Iterator[None]:
        """Hold the only right to download this digest.

        Raises:
            InvalidInput: the URL is not http(s).
            Unavailable: another download of it does not end, or the disk cannot be written.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise InvalidInput(f"{_shown(url)} is not an http(s) URL")
        with disk_errors("downloading", self._root):
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._part(digest).with_suffix(".lock")
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take_turn(lock, url)
            yield
        finally:
            os.close(lock)

    def receive(self, url: str, digest: str) -> Path:
        """Return a complete, verified, flushed file with this digest, for the caller to move away.

        Raises:
            Corrupted: the bytes behind the URL have another digest.
            Unavailable: the host cannot be reached or answers an error, the file is too large, or the disk is full.
        """
        part = self._part(digest)
        _Download(part, url, digest, self._bounds, self._wait).run()
        part.with_suffix(".json").unlink(missing_ok=True)
        return part

    def _part(self, digest: str) -> Path:
        return self._root / f"{hex_of(digest)}.part"

    def _take_turn(self, lock: int, url: str) -> None:
        until = time.monotonic() + self._bounds.turn_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Unavailable(f"another download of {_shown(url)} does not end") from None
                self._wait(0.1)
            else:
                return


class _Download:
    """One URL into one partial file."""

    def __init__(
        self,
        part: Path,
        url: str,
        digest: str,
        bounds: DownloadBounds,
        wait: Callable[[float], None],
    ) -> None:
        self._part, self._url, self._digest = part, url, digest
        self._bounds, self._wait = bounds, wait
        self._until = time.monotonic() + bounds.total_s

    def run(self) -> None:
        """Bring the partial file to completion, from the start once more if a resumed one is wrong."""
        if self._have() and digest_of(self._part) == self._digest:
            return
        was_resumed = self._have() > 0
        self._receive()
        found = digest_of(self._part)
        if found != self._digest and was_resumed:
            self._restart()
            self._receive()
            found = digest_of(self._part)
        if found != self._digest:
            self._restart()
            raise Corrupted(
                f"{_shown(self._url)} has digest {found}, not {self._digest}",
                hint="the file behind the URL changed, or its sha256 in the spec is wrong",
            )

    def _receive(self) -> None:
        timeout = httpx.Timeout(self._bounds.silence_s, connect=self._bounds.connect_timeout_s)
        failures = 0
        with httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=5) as client:
            while True:
                before = self._have()
                try:
                    self._receive_once(client)
                except _Broken as error:
                    failures = 1 if self._have() > before else failures + 1
                    if failures >= self._bounds.attempts or time.monotonic() > self._until:
                        raise Unavailable(
                            f"{_shown(self._url)} cannot be downloaded: {error}",
                            hint=f"{self._have()} bytes are kept; the next try goes on from there",
                        ) from error
                    self._wait(self._bounds.pause_s * 2 ** min(failures - 1, 4))
                else:
                    return

    def _receive_once(self, client: httpx.Client) -> None:
        headers = {"Accept-Encoding": "identity"}
        have, known = self._have(), self._known()
        if have and known.get("validator") and known.get("url") == self._url:
            headers |= {"Range": f"bytes={have}-", "If-Range": known["validator"]}
        elif have:
            self._restart()
        try:
            with client.stream("GET", self._url, headers=headers) as response:
                self._take(response)
        except httpx.HTTPError as error:
            raise _Broken(str(error) or type(error).__name__) from error

    def _take(self, response: httpx.Response) -> None:
        have = self._have()
        if response.status_code == 416 and have:
            self._restart()
            raise _Broken("the server refused to resume; starting again")
        if response.status_code in _RETRIED:
            raise _Broken(f"the server answered {response.status_code}")
        if response.status_code not in (200, 206):
            raise Unavailable(
                f"{_shown(self._url)} answered {response.status_code} {response.reason_phrase}",
                hint="check the URL, and whether it needs credentials",
            )
        if response.status_code == 200:
            self._restart()
            have = 0
        elif not response.headers.get("content-range", "").startswith(f"bytes {have}-"):
            self._restart()
            raise _Broken("the server resumed at the wrong place; starting again")
        length = response.headers.get("content-length", "")
        expected = have + int(length) if length.isdigit() else None
        self._check_room(expected, have)
        self._remember(response)
        with disk_errors("downloading", self._part.parent), self._part.open("ab") as file:
            self._append(response, file.fileno(), have)
        if expected is not None and self._have() < expected:
            raise _Broken(f"the connection ended after {self._have()} of {expected} bytes")

    def _append(self, response: httpx.Response, fd: int, have: int) -> None:
        # As it comes: gathering larger pieces would lose what arrived before a break.
        for chunk in response.iter_raw():
            have += len(chunk)
            if have > self._bounds.bytes_max:
                raise self._too_large()
            if time.monotonic() > self._until:
                raise _Broken(f"it took longer than {self._bounds.total_s:g} s")
            view = memoryview(chunk)
            while view:
                view = view[os.write(fd, view) :]
        os.fsync(fd)

    def _check_room(self, expected: int | None, have: int) -> None:
        if expected is None:
            return
        if expected > self._bounds.bytes_max:
            raise self._too_large()
        free = shutil.disk_usage(self._part.parent).free
        if expected - have > free:
            raise Unavailable(
                f"{_shown(self._url)} has {expected} bytes, and {free} are free in {self._part.parent}",
                hint="free space there; the download goes on where it ended",
            )

    def _too_large(self) -> Unavailable:
        return Unavailable(f"{_shown(self._url)} has more than {self._bounds.bytes_max} bytes")

    def _have(self) -> int:
        try:
            return self._part.stat().st_size
        except FileNotFoundError:
            return 0

    def _known(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._part.with_suffix(".json").read_bytes()))
        except (OSError, ValueError):
            return {}

    def _remember(self, response: httpx.Response) -> None:
        etag = response.headers.get("etag", "")
        # A weak validator says "about the same", which is not enough to join two halves.
        strong = etag if etag and not etag.startswith("W/") else ""
        validator = strong or response.headers.get("last-modified", "")
        with disk_errors("downloading", self._part.parent):
            content = json.dumps({"url": self._url, "validator": validator})
            self._part.with_suffix(".json").write_text(content)

    def _restart(self) -> None:
        self._part.unlink(missing_ok=True)
        self._part.with_suffix(".json").unlink(missing_ok=True)


class _Broken(Exception):
    """This try ended early; another may go on."""


def _shown(url: str) -> str:
    """Return the URL without credentials and query, which may hold secrets."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
