"""Large bodies: the kernel writes them straight to where they will be read from."""

import asyncio
from typing import Any, Protocol

import numpy as np

LARGE_BYTES = 64 * 1024
"""From this size on, changing the protocol costs less than copying."""


_ALIGNED_BYTES = 64
"""Engines copy tensors that begin elsewhere."""


class Owner(Protocol):
    """The connection that a body belongs to."""

    def large_body_begins(self) -> bool:
        """Take the head that came last as coming again; false: the body is not wanted."""

    def large_body_done(self, body: memoryview) -> None:
        """Take the whole body."""

    def data_received(self, data: bytes) -> None:
        """Take bytes in the usual way, and read so from now on."""

    def connection_lost(self, error: Exception | None, /) -> None:
        """The connection ended."""

    def eof_received(self) -> bool:
        """The client sends no more."""

    def pause_writing(self) -> None:
        """The client does not read."""

    def resume_writing(self) -> None:
        """The client reads again."""


class BodyReader(asyncio.BufferedProtocol):
    """Stands in for a connection while large bodies arrive, with their heads if those stay the same.

    ``binary_at`` is where in the body tensors begin; that place is aligned in memory.
    """

    __slots__ = ("_begun", "_binary_at", "_filled", "_head", "_owner", "_size", "_view")

    def __init__(
        self, owner: Owner, size: int, first: list[bytes], *, binary_at: int, head: bytes
    ) -> None:
        self._owner = owner
        self._size = size
        self._binary_at = binary_at
        self._head = head
        """As it is sent, with the empty line; empty if it is not to be expected again."""
        self._view: memoryview | None = self._room(0)
        self._begun = True
        self._filled = 0
        for piece in first:
            self._view[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)

    def get_buffer(self, _sizehint: int) -> Any:
        """Where the next bytes go."""
        view = self._view
        if view is None:
            view = self._view = self._room(len(self._head))
        return view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Hand the body over when it is whole."""
        view = self._view
        assert view is not None, "bytes come into a buffer"
        self._filled += nbytes
        if not self._begun:
            if self._filled < len(self._head) or view[: len(self._head)] != self._head:
                self._owner.data_received(view[: self._filled].tobytes())
                return
            if not self._owner.large_body_begins():
                return
            self._begun = True
        if self._filled == len(view):
            self._view, self._begun, self._filled = None, False, 0
            self._owner.large_body_done(view[-self._size :])

    def _room(self, before: int) -> memoryview:
        # Memory that is not written to is not there yet: a client that only announces costs none.
        array = np.empty(before + self._size + _ALIGNED_BYTES, dtype=np.uint8)
        tensors_at = array.__array_interface__["data"][0] + before + self._binary_at
        start = -tensors_at % _ALIGNED_BYTES
        room: memoryview = array.data
        return room[start : start + before + self._size]

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
