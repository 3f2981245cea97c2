"""The chunked transfer coding, strict, incremental and bounded."""

_LINE_MAX = 256
_TRAILER_MAX = 4096


class BadChunk(Exception):
    """The body breaks the chunked coding's rules."""


class ChunkedBody:
    """Bytes in, body out; ``rest`` holds what follows the body once ``done``."""

    __slots__ = ("_buffer", "_left", "_pieces", "_state", "done", "rest", "size")

    def __init__(self) -> None:
        self._buffer = b""
        self._left = 0
        self._pieces: list[bytes] = []
        self._state = "size"
        self.done = False
        self.rest = b""
        self.size = 0

    def feed(self, data: bytes, size_max: int) -> None:
        """Take the next bytes; raises BadChunk, or OverflowError past ``size_max``."""
        data = self._buffer + data if self._buffer else data
        self._buffer = b""
        position = 0
        while not self.done:
            if self._state == "data":
                take = data[position : position + self._left]
                self._pieces.append(take)
                self._left -= len(take)
                position += len(take)
                if self._left:
                    return
                self._state = "crlf"
            end = data.find(b"\r\n", position)
            if end < 0:
                self._buffer = data[position:]
                if len(self._buffer) > (_TRAILER_MAX if self._state == "trailer" else _LINE_MAX):
                    raise BadChunk("a chunk line is too long")
                return
            line = data[position:end]
            position = end + 2
            self._line(line, size_max)
        self.rest = data[position:]

    def body(self) -> bytes:
        """The whole body, once done."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _line(self, line: bytes, size_max: int) -> None:
        if self._state == "crlf":
            if line:
                raise BadChunk("a chunk does not end where its size says")
            self._state = "size"
        elif self._state == "size":
            digits = line.split(b";", 1)[0].rstrip(b" \t")
            if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
                raise BadChunk("a chunk size is not hexadecimal")
            self._left = int(digits, 16)
            self.size += self._left
            if self.size > size_max:
                raise OverflowError
            self._state = "data" if self._left else "trailer"
        elif not line:
            self.done = True
        else:
            self._left += len(line) + 2
            if self._left > _TRAILER_MAX:
                raise BadChunk("the trailers are too long")
