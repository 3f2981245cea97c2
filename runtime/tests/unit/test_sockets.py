"""Transports on a direct loop, with asyncio's own streams as clients on the same loop."""

import asyncio
import errno
import gc
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from runtime.tests.fakes import FakeServer
from runtime.tests.unit.test_repeated_requests import Doubler, request

from prometheus_ai_runtime.config import Batching
from prometheus_ai_runtime.http.connection import Connection
from prometheus_ai_runtime.sockets.listening import SocketListener, listen
from prometheus_ai_runtime.sockets.loop import DirectLoop
from prometheus_ai_runtime.sockets.transport import SocketTransport

MIB = 1024 * 1024


class Recorder(asyncio.Protocol):
    """Keeps what happens; answers when told to."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.data = b""
        self.answer: Callable[[bytes], None] = lambda _data: None
        self.keeps_open = False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.answer(data)

    def eof_received(self) -> bool:
        self.happened.append("end")
        return self.keeps_open

    def pause_writing(self) -> None:
        self.happened.append("pause")

    def resume_writing(self) -> None:
        self.happened.append("resume")

    def connection_lost(self, error: Exception | None) -> None:
        self.happened.append(f"lost {error!r}" if error else "lost")


class InPlace(asyncio.BufferedProtocol):
    """Takes ten bytes in place, then hands over to another protocol."""

    def __init__(self, after: Recorder) -> None:
        self.room = bytearray(10)
        self.filled = 0
        self.after = after

    def get_buffer(self, _sizehint: int) -> Any:
        return memoryview(self.room)[self.filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self.filled += nbytes
        if self.filled == len(self.room):
            self.after.transport.set_protocol(self.after)


Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def talk(scene: Callable[[Recorder, Client], Awaitable[None]], recorder: Recorder) -> None:
    """Connect a client to the recorder and play a scene."""

    async def run() -> None:
        bound = socket.create_server(("127.0.0.1", 0))
        listening = await listen(bound, lambda: recorder, 16)
        async with asyncio.timeout(30):
            client = await asyncio.open_connection(*bound.getsockname())
            await until(lambda: recorder.transport is not None)
            await scene(recorder, client)
            client[1].close()
            recorder.transport.abort()
            await until(lambda: "lost" in recorder.happened[-1:])
        listening.close()
        listening.close()

    with asyncio.Runner(loop_factory=DirectLoop) as runner:
        runner.run(run())


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - protocols have no one event
            await asyncio.sleep(0.001)


def test_bytes_come_and_go_in_order() -> None:
    async def scene(recorder: Recorder, client: Client) -> None:
        recorder.answer = recorder.transport.write
        reader, writer = client
        sent = bytes(range(256)) * 1024 * 12
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
        assert recorder.data == sent

    talk(scene, Recorder())


def test_a_client_that_does_not_read_pauses_the_protocol_and_loses_nothing() -> None:
    async def scene(recorder: Recorder, client: Client) -> None:
        reader, _ = client
        # More than the kernel and asyncio's reader hold between them.
        sent = [bytes([n]) * MIB for n in range(32)]
        for piece in sent:
            recorder.transport.write(piece)
        assert recorder.happened == ["pause"]
        assert await reader.readexactly(32 * MIB) == b"".join(sent)
        await until(lambda: recorder.happened == ["pause", "resume"])

    talk(scene, Recorder())


def test_what_is_written_before_closing_arrives() -> None:
    async def scene(recorder: Recorder, client: Client) -> None:
        reader, _ = client
        recorder.transport.write(b"x" * 16 * MIB)
        recorder.transport.close()
        recorder.transport.write(b"too late")
        assert recorder.transport.is_closing()
        assert len(await reader.read(-1)) == 16 * MIB

    talk(scene, Recorder())


def test_the_end_follows_what_is_written() -> None:
    async def scene(recorder: Recorder, client: Client) -> None:
        reader, writer = client
        recorder.transport.write(b"y" * 16 * MIB)
        recorder.transport.write_eof()
        assert len(await reader.read(-1)) == 16 * MIB
        writer.write(b"still heard")
        await until(lambda: recorder.data == b"still heard")

    talk(scene, Recorder())


@pytest.mark.parametrize("keeps_open", [False, True])
def test_a_client_that_ends_may_still_be_answered(keeps_open: bool) -> None:
    async def scene(recorder: Recorder, client: Client) -> None:
        recorder.keeps_open = keeps_open
        reader, writer = client
        writer.write_eof()
        await until(lambda: recorder.happened[:1] == ["end"])
        if keeps_open:
            recorder.transport.write(b"bye")
            recorder.transport.close()
        assert await reader.read(-1) == (b"bye" if keeps_open else b"")

    talk(scene, Recorder())


def test_reading_pauses_and_goes_on() -> None:
    async def scene(recorder: Recorder, client: Client) -> None:
        recorder.transport.pause_reading()
        client[1].write(b"later")
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert recorder.data == b""
        recorder.transport.resume_reading()
        await until(lambda: recorder.data == b"later")

    talk(scene, Recorder())


def test_protocols_that_read_in_place_take_turns_with_others() -> None:
    async def scene(recorder: Recorder, client: Client) -> None:
        in_place = InPlace(recorder)
        recorder.transport.set_protocol(in_place)
        client[1].write(b"0123456789abc")
        await until(lambda: recorder.data == b"abc")
        assert in_place.room == b"0123456789"

    talk(scene, Recorder())


def test_a_fault_ends_its_connection_alone() -> None:
    async def scene(recorder: Recorder, client: Client) -> None:
        def fail(_data: bytes) -> None:
            raise ValueError("a fault")

        recorder.answer = fail
        client[1].write(b"x")
        await until(lambda: recorder.happened == ["lost"])

    talk(scene, Recorder())


def test_a_reset_is_told_as_an_error() -> None:
    async def scene(recorder: Recorder, client: Client) -> None:
        client[1].transport.abort()
        await until(lambda: bool(recorder.happened))
        recorder.happened = ["lost"]

    talk(scene, Recorder())


class Exhausted:
    """A listening socket of a process without files left, at first."""

    def __init__(self, real: socket.socket) -> None:
        self.real = real
        self.refusals = 1

    def fileno(self) -> int:
        return self.real.fileno()

    def accept(self) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, "no files")
        return self.real.accept()

    def close(self) -> None:
        self.real.close()


def test_listening_goes_on_after_files_ran_out() -> None:
    async def run() -> None:
        real = socket.create_server(("127.0.0.1", 0))
        real.setblocking(False)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, DirectLoop)
        recorder = Recorder()
        listener = SocketListener(loop, cast(Any, Exhausted(real)), lambda: recorder)
        _, writer = await asyncio.open_connection(*real.getsockname())
        await until(lambda: recorder.transport is not None)
        listener.close()
        writer.close()
        await until(lambda: recorder.happened[-1:] == ["lost"])

    with asyncio.Runner(loop_factory=DirectLoop) as runner:
        runner.run(run())


def test_other_loops_listen_in_their_own_way() -> None:
    async def run() -> None:
        recorder = Recorder()
        bound = socket.create_server(("127.0.0.1", 0))
        listening = await listen(bound, lambda: recorder, 16)
        _, writer = await asyncio.open_connection(*bound.getsockname())
        writer.write(b"hello")
        await until(lambda: recorder.data == b"hello")
        writer.close()
        await until(lambda: recorder.happened[-1:] == ["lost"])
        listening.close()

    asyncio.run(run())


def test_a_connection_that_ended_is_gone_at_once() -> None:
    """Nothing of it waits for the collector of circles: a server of many short connections would grow."""

    def left() -> list[object]:
        return [o for o in gc.get_objects() if isinstance(o, Connection | SocketTransport)]

    async def run() -> None:
        server = FakeServer()
        server.add_model("doubler", Doubler(), Batching())
        bound = socket.create_server(("127.0.0.1", 0))
        listening = await listen(bound, lambda: Connection(server.door), 16)
        async with asyncio.timeout(30):
            reader, writer = await asyncio.open_connection(*bound.getsockname())
            for _ in range(3):
                writer.write(request("1.5,2.0"))
                await reader.readuntil(b"]}]}")
            assert len(left()) == 2
            writer.close()
            await until(lambda: not server.door.connections())
            await asyncio.sleep(0)
        assert left() == []
        listening.close()
        server.host.close()

    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=DirectLoop) as runner:
            runner.run(run())
    finally:
        gc.enable()
