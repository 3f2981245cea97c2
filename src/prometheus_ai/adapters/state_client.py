"""Asking one model server for its state over a kept connection."""

import asyncio
import json
from typing import Any

ANSWER_TIMEOUT_S = 2.0
ANSWER_BYTES_MAX = 65_536


class NoAnswer(Exception):
    """The server did not answer as the wire page says."""


class StateClient:
    """Reads ``/v2/health/state``; a broken connection is replaced once before giving up."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        head = f"GET /v2/health/state HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"
        self._request = head.encode()

    async def state(self) -> dict[str, Any]:
        """Return the server's state.

        Raises:
            NoAnswer: nothing usable came within the bound; says what happened.
        """
        was_open = self._streams is not None
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                try:
                    return await self._ask()
                except (OSError, EOFError):
                    self.close()
                    if not was_open:
                        raise
                    return await self._ask()
        except TimeoutError as error:
            self.close()
            raise NoAnswer(f"nothing within {ANSWER_TIMEOUT_S:g} s") from error
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise NoAnswer(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """Drop the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _ask(self) -> dict[str, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(self._request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(":", 1) for line in head[1:] if ":" in line)
        length = int(headers.get("content-length", "-1"))
        if not 0 <= length <= ANSWER_BYTES_MAX:
            raise ValueError("the answer has no usable content-length")
        body = await reader.readexactly(length)
        if headers.get("connection", "").strip() == "close":
            self.close()
        status = head[0].split()[1] if len(head[0].split()) > 1 else head[0]
        if status != "200":
            raise ValueError(f"/v2/health/state answered {status}")
        content = json.loads(body)
        return dict(content)
