"""A replica that answers at once: what a request costs besides it is what a question measures.

    python -m bench.harness.replica

Prints its port, then answers until it is ended.
"""

import asyncio
import sys

BODY = b'{"outputs": []}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY)
    + BODY
)


class _Replica(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (head_end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:head_end].lower()
            _, found, rest = head.partition(b"content-length:")
            end = head_end + 4 + (int(rest.split(b"\r\n", 1)[0]) if found else 0)
            if len(self._received) < end:
                return
            self._received = self._received[end:]
            self._transport.write(ANSWER)


async def main() -> None:
    """Answer until ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Replica, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
