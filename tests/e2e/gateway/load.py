"""Steady traffic for tests: every answer is remembered, nothing is tried twice."""

import threading
from collections import Counter
from typing import Self

import httpx


class Load:
    """Sends requests one after the other on some threads until it is closed."""

    def __init__(self, url: str, *, method: str = "POST", threads: int = 4) -> None:
        self.statuses: Counter[str] = Counter()
        self.releases: Counter[str] = Counter()
        self._url = url
        self._method = method
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send) for _ in range(threads)]

    @property
    def answered(self) -> int:
        """Return how many requests were answered or lost so far."""
        with self._lock:
            return self.statuses.total()

    @property
    def lost(self) -> dict[str, int]:
        """Return everything that was not a 200, by kind."""
        with self._lock:
            return {kind: count for kind, count in self.statuses.items() if kind != "200"}

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Send nothing new."""
        self._stop.set()

    def __exit__(self, *_: object) -> None:
        self.stop()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        with httpx.Client(timeout=15.0) as client:
            while not self._stop.is_set():
                try:
                    answer = client.request(self._method, self._url)
                    kind, release = str(answer.status_code), answer.headers.get("x-pai-release", "")
                except httpx.HTTPError as error:
                    kind, release = type(error).__name__, ""
                with self._lock:
                    self.statuses[kind] += 1
                    self.releases[release] += 1
