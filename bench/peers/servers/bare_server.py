"""The sentence encoder behind a bare socket: one thread, no framework, no checks.

    PYTHON bare_server.py PORT

What is ready to be read is one batch. It says what a server costs that does nothing but its work: what
a loop without a server is faster by, no server on the same cores can get back.
"""

import select
import socket
import sys

import orjson
from workload import BATCH_MAX, MiniLM, Tabular

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_READ_BYTES = 65536


class Bare:
    """All connections, and the texts that wait."""

    def __init__(self, port: int) -> None:
        self.minilm, self.tabular = MiniLM(), Tabular()
        self.door = socket.create_server(("127.0.0.1", port), backlog=512)
        self.door.setblocking(False)
        self.poll = select.epoll()
        self.poll.register(self.door.fileno(), select.EPOLLIN)
        self.clients: dict[int, socket.socket] = {}
        self.waiting: list[tuple[socket.socket, str]] = []

    def read(self) -> None:
        """Take what has come; wait only if there is nothing to do."""
        for number, _ in self.poll.poll(0 if self.waiting else -1):
            if number == self.door.fileno():
                client, _ = self.door.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.clients[client.fileno()] = client
                self.poll.register(client.fileno(), select.EPOLLIN)
                continue
            client = self.clients[number]
            try:
                data = client.recv(_READ_BYTES)
            except OSError:
                data = b""
            if not data:
                self.poll.unregister(number)
                self.clients.pop(number).close()
                continue
            asked = orjson.loads(data.partition(b"\r\n\r\n")[2])["inputs"][0]
            if asked["name"] == "text":
                self.waiting.append((client, asked["data"][0]))
            else:
                label, probabilities = self.tabular.run([asked["data"]])
                self.answer(client, label=label, probabilities=probabilities)

    def run(self) -> None:
        """Serve until killed."""
        while True:
            self.read()
            batch, self.waiting = self.waiting[:BATCH_MAX], self.waiting[BATCH_MAX:]
            if batch:
                vectors = self.minilm.run([text for _, text in batch])
                for (client, _), vector in zip(batch, vectors, strict=True):
                    self.answer(client, embedding=vector)

    @staticmethod
    def answer(client: socket.socket, **outputs) -> None:
        """Write an answer of the V2 protocol."""
        tensors = [{"name": n, "data": v.reshape(-1)} for n, v in outputs.items()]
        body = orjson.dumps({"outputs": tensors}, option=orjson.OPT_SERIALIZE_NUMPY)
        try:
            client.sendall(_HEAD % len(body) + body)
        except OSError:
            return


if __name__ == "__main__":
    Bare(int(sys.argv[1])).run()
