"""Large bodies: the kernel writes them straight to where they will be read from."""

import asyncio
from typing import Any, Protocol

from prometheus_ai_runtime.tensors.received import Received

LARGE_BYTES = 64 * 1024
"""From this size on, changing the protocol costs less than copying."""


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

    __slots__ = (
        "_begun",
        "_binary_at",
        "_filled",
        "_head",
        "_looks",
        "_owner",
        "_received",
        "_size",
        "_view",
    )

    def __init__(
        self, owner: Owner, size: int, first: list[bytes], *, binary_at: int, head: bytes
    ) -> None:
        self._owner = owner
        self._size = size
        self._binary_at = binary_at
        self._head = head
        """As it is sent, with the empty line; empty if it is not to be expected again."""
        received, view = Received.room(size, binary_at)
        self._received: Received | None = received
        self._view: memoryview | None = view
        self._looks = False
        """Whether the last body's numbers were asked for, so that this one's will be."""
        self._begun = True
        self._filled = 0
        for piece in first:
            view[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)

    def get_buffer(self, _sizehint: int) -> Any:
        """Where the next bytes go."""
        view = self._view
        if view is None:
            head_bytes = len(self._head)
            self._received, view = Received.room(
                head_bytes + self._size, head_bytes + self._binary_at
            )
            self._view = view
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
        received = self._received
        assert received is not None, "it comes with the view"
        if self._looks:
            received.look(view, self._filled)
        if self._filled == len(view):
            # An idle connection must not keep a body.
            self._received, self._view, self._begun, self._filled = None, None, False, 0
            self._owner.large_body_done(view[-self._size :])
            self._looks = received.was_asked

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
