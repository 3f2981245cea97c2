"""Large bodies: the kernel writes them straight to where they will be read from."""

import asyncio
from typing import Any, Protocol

import numpy as np

LARGE_BYTES = 64 * 1024
"""From this size on, changing the protocol costs less than copying."""


class Owner(Protocol):
    """The connection that a body belongs to."""

    def large_body_done(self, body: memoryview) -> None:
        """Take the whole body and go on reading in the usual way."""

    def connection_lost(self, error: Exception | None, /) -> None:
        """The connection ended."""

    def eof_received(self) -> bool:
        """The client sends no more."""

    def pause_writing(self) -> None:
        """The client does not read."""

    def resume_writing(self) -> None:
        """The client reads again."""


class BodyReader(asyncio.BufferedProtocol):
    """Stands in for a connection while one large body arrives."""

    __slots__ = ("_filled", "_owner", "_view")

    def __init__(self, owner: Owner, size: int, first: list[bytes]) -> None:
        self._owner = owner
        # Memory that is not written to is not there yet: a client that only announces costs none.
        self._view: memoryview = np.empty(size, dtype=np.uint8).data
        self._filled = 0
        for piece in first:
            self._view[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)

    def get_buffer(self, _sizehint: int) -> Any:
        """Where the next bytes go."""
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Hand the body over when it is whole."""
        self._filled += nbytes
        if self._filled == len(self._view):
            self._owner.large_body_done(self._view)

    def connection_lost(self, error: Exception | None) -> None:
        """Pass it on."""
        self._owner.connection_lost(error)

    def eof_received(self) -> bool:
        """Pass it on."""
        return self._owner.eof_received()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._owner.resume_writing()
