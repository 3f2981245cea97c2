"""Reading bytes once, in order, within bounds."""

from collections.abc import Callable
from typing import Protocol

CHUNK_BYTES = 1 << 16
LINE_BYTES_MAX = 1 << 16


class Unreadable(Exception):
    """The bytes are not what their format says; ``kind`` is the finding's kind."""

    def __init__(self, message: str, kind: str = "malformed") -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind


class Readable(Protocol):
    """Anything that gives bytes in order."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""


class Budget:
    """What one scan may cost, shared by everything inside one file."""

    def __init__(
        self,
        *,
        expanded_bytes_max: int = 64 * 2**30,
        expansion_max: int = 2000,
        operations_max: int = 50_000_000,
        depth_max: int = 8,
    ) -> None:
        self.expanded_bytes_max = expanded_bytes_max
        self.expansion_max = expansion_max
        self.operations_max = operations_max
        self.depth_max = depth_max
        self._expanded_bytes = 0
        self._operations = 0

    def spend_expanded(self, count: int, packed_bytes: int) -> None:
        """Count bytes that came out of a decompressor.

        Raises:
            Unreadable: more came out than a model holds; likely a decompression bomb.
        """
        self._expanded_bytes += count
        by_ratio = max(packed_bytes, 2**20) * self.expansion_max
        if self._expanded_bytes > min(self.expanded_bytes_max, by_ratio):
            raise Unreadable(
                f"expands beyond {min(self.expanded_bytes_max, by_ratio)} bytes", "bomb"
            )

    def spend_operations(self, count: int) -> None:
        """Count pickle operations.

        Raises:
            Unreadable: there are more than a model needs.
        """
        self._operations += count
        if self._operations > self.operations_max:
            raise Unreadable(f"more than {self.operations_max} pickle operations", "bomb")


class Source:
    """A buffered, forward-only view that fails loudly at the end."""

    def __init__(self, raw: Readable, on_bytes: Callable[[int], None] | None = None) -> None:
        self._raw = raw
        self._on_bytes = on_bytes
        self._buffer = b""
        self._offset = 0
        self._before = 0

    @property
    def position(self) -> int:
        """How many bytes were consumed."""
        return self._before + self._offset

    def read(self, count: int) -> bytes:
        """Return exactly ``count`` bytes."""
        end = self._offset + count
        if end <= len(self._buffer):
            taken = self._buffer[self._offset : end]
            self._offset = end
            return taken
        parts = [self._buffer[self._offset :]]
        missing = count - len(parts[0])
        self._drop()
        self._before += len(parts[0])
        while missing > 0:
            chunk = self._pull(min(max(missing, CHUNK_BYTES), 1 << 24))
            if not chunk:
                raise Unreadable(f"ends {missing} bytes too early", "truncated")
            if len(chunk) > missing:
                self._buffer, self._offset = chunk, missing
                chunk = chunk[:missing]
            else:
                self._before += len(chunk)
            parts.append(chunk)
            missing -= len(chunk)
        return b"".join(parts)

    def byte(self) -> int:
        """Return the next byte."""
        if self._offset < len(self._buffer):
            self._offset += 1
            return self._buffer[self._offset - 1]
        return self.read(1)[0]

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes without keeping them."""
        while count > 0:
            step = min(count, 1 << 22)
            self.read(step)
            count -= step

    def line(self) -> bytes:
        """Return bytes up to a newline, without it."""
        parts = []
        for _ in range(LINE_BYTES_MAX):
            found = self._buffer.find(b"\n", self._offset)
            if found >= 0:
                parts.append(self._buffer[self._offset : found])
                self._offset = found + 1
                return b"".join(parts)
            parts.append(self._buffer[self._offset :])
            if sum(map(len, parts)) > LINE_BYTES_MAX:
                break
            self._drop()
            self._before += len(parts[-1])
            self._buffer = self._pull(CHUNK_BYTES)
            if not self._buffer:
                raise Unreadable("ends inside a line", "truncated")
        raise Unreadable(f"a line is longer than {LINE_BYTES_MAX} bytes")

    def peek(self, count: int) -> bytes:
        """Return up to ``count`` coming bytes without consuming them."""
        while len(self._buffer) - self._offset < count:
            chunk = self._pull(CHUNK_BYTES)
            if not chunk:
                break
            rest = self._buffer[self._offset :]
            self._before += self._offset
            self._buffer, self._offset = rest + chunk, 0
        return self._buffer[self._offset : self._offset + count]

    def rest(self) -> int:
        """Consume everything that is left; return how many bytes that were."""
        count = len(self._buffer) - self._offset
        self._drop()
        self._before += count
        while chunk := self._pull(1 << 20):
            count += len(chunk)
            self._before += len(chunk)
        return count

    def _drop(self) -> None:
        self._before += self._offset
        self._buffer, self._offset = b"", 0

    def _pull(self, count: int) -> bytes:
        chunk = self._raw.read(count)
        if chunk and self._on_bytes is not None:
            self._on_bytes(len(chunk))
        return chunk
