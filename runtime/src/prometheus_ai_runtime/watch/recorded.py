"""Requests that are kept to be sent again, where the release's owner said so; until they are fetched."""

from collections.abc import Collection
from typing import Any, NamedTuple

import orjson

WAITING_MAX = 64
"""Requests between two fetches; those beyond are not even read."""
BYTES_MAX = 4 * 1024 * 1024


class Recorded(NamedTuple):
    """One request, as it may be sent again: without its id, and without what must not be kept."""

    path: str
    content_type: str
    json_bytes: int | None
    """How much of the body is JSON, where tensors follow it as bytes."""
    body: bytes


class RecordedRequests:
    """A bounded waiting room. Lives on the event loop; what does not fit is counted and forgotten."""

    __slots__ = ("_bytes", "_bytes_max", "_redact", "_waiting", "left_out")

    def __init__(self, request_bytes_max: int, redact: Collection[str]) -> None:
        self._bytes_max = request_bytes_max
        self._redact = frozenset(redact)
        self._waiting: list[Recorded] = []
        self._bytes = 0
        self.left_out = 0
        """Requests that were too long, too many at once, or could not be redacted."""

    def add(
        self, path: str, content_type: bytes, json_bytes: int | None, body: bytes | memoryview
    ) -> None:
        """Keep one request that was answered."""
        size = len(body)
        if (
            size > self._bytes_max
            or len(self._waiting) >= WAITING_MAX
            or self._bytes + size > BYTES_MAX
        ):
            self.left_out += 1
            return
        kept: bytes | None = bytes(body)
        if self._redact and kept is not None:
            kept = None if json_bytes is not None else redacted(kept, self._redact)
        if kept is None:
            self.left_out += 1
            return
        self._waiting.append(Recorded(path, content_type.decode("latin-1"), json_bytes, kept))
        self._bytes += len(kept)

    def take(self) -> list[Recorded]:
        """Return what waits, and forget it."""
        taken, self._waiting, self._bytes = self._waiting, [], 0
        return taken


def redacted(body: bytes, names: Collection[str]) -> bytes | None:
    """Return a JSON body with these inputs and fields blanked; None where one of them is not found.

    A name that is missing may be there under another guise, such as a column of a tensor: then nothing
    of the request may be kept.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    found: set[str] = set()
    clean = _walked(document, frozenset(names), found)
    return orjson.dumps(clean) if found == set(names) else None


def _walked(value: Any, names: frozenset[str], found: set[str]) -> Any:
    if isinstance(value, list):
        return [_walked(each, names, found) for each in value]
    if not isinstance(value, dict):
        return value
    name = value.get("name")
    if "data" in value and isinstance(name, str) and name in names:
        found.add(name)
        return {**value, "data": _blank(value["data"])}
    walked = {}
    for key, each in value.items():
        if key in names:
            found.add(key)
            walked[key] = _blank(each)
        else:
            walked[key] = _walked(each, names, found)
    return walked


def _blank(value: Any) -> Any:
    """Return a value of the same shape and kind that says nothing."""
    if isinstance(value, list):
        return [_blank(each) for each in value]
    if isinstance(value, dict):
        return {key: _blank(each) for key, each in value.items()}
    return None if value is None else type(value)()
