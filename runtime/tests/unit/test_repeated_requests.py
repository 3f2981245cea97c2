"""Clients that repeat themselves, whatever happens between: every answer is the right one, in order."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings
from runtime.tests.fakes import FakeServer, FakeTransport, parse_responses

from prometheus_ai_runtime.config import Batching
from prometheus_ai_runtime.http.connection import Connection
from prometheus_ai_runtime.signature import Signature, TensorSpec

NUMBERS = (TensorSpec(name="x", datatype="FP32", shape=(-1, 2)),)
DOUBLED = (TensorSpec(name="y", datatype="FP32", shape=(-1, 2)),)


class Doubler:
    """Doubles numbers; refuses a nine."""

    signature = Signature(inputs=NUMBERS, outputs=DOUBLED)
    batchable = True
    missing_is_nan = False
    warnings: tuple[str, ...] = ()

    def predict(self, inputs: Any) -> dict[str, Any]:
        if (inputs["x"] == 9).any():
            raise ValueError("nine")
        return {"y": inputs["x"] * 2}

    def close(self) -> None:
        return None


def request(values: str, model: str = "doubler", rows: int = 1, further: str = "") -> bytes:
    text = f'{{"inputs":[{{"name":"x","shape":[{rows},2],"datatype":"FP32","data":[{values}]}}]}}'
    head = f"POST /v2/models/{model}/infer HTTP/1.1\r\nhost: x\r\n{further}"
    return f"{head}content-length: {len(text)}\r\n\r\n{text}".encode()


def expected(values: str) -> tuple[int, list[float] | None]:
    """The status and the values that a request must be answered with."""
    try:
        numbers = json.loads(f"[{values}]")
    except ValueError:
        return 400, None
    if len(numbers) != 2 or not all(isinstance(n, int | float) for n in numbers):
        return 400, None
    return (500, None) if 9 in numbers else (200, [2 * n for n in numbers])


SOUND = [f"{a}.5,{b}.0" for a in range(3) for b in range(3)]
UNSOUND = ["1.5,n.0", '"5.0",2', "1.5,[2]", "1.5,2.0,", "9.0,1.0", "1.5 2.0", "[1.5],2", "1,2,3.0"]
REQUESTS = [(request(v), expected(v)) for v in SOUND * 3 + UNSOUND]
REQUESTS += [
    (request("1.0,2.0", further="x-request-id: a\r\n"), (200, [2.0, 4.0])),
    (request("1.0,2.0,3.0,4.0", rows=2), (200, [2.0, 4.0, 6.0, 8.0])),
    (request("1.0,2.0", model="other"), (200, [2.0, 4.0])),
    (request("1.0,2.0", model="nobody"), (404, None)),
]

GATEWAY = (
    "{name}: {id}\r\ntraceparent: 00-{trace:032x}-00f067aa0ba902b7-01\r\n"
    "x-forwarded-for: 192.0.2.{client}\r\n"
)
names = st.tuples(
    st.sampled_from(["x-request-id", "x-request-id", "X-Request-Id"]),
    st.sampled_from(["none", "none", "id", "all"]),
)

steps = st.lists(
    st.tuples(
        st.integers(0, 2),
        names,
        st.sampled_from(REQUESTS),
        st.sampled_from(["whole", "whole", "whole", "halves", "with the next", "leaves"]),
        st.integers(0, 3),
    ),
    max_size=40,
)


@dataclass
class Client:
    connection: Connection
    transport: FakeTransport
    wanted: list[tuple[int, list[float] | None]] = field(default_factory=list)
    kept: bytes = b""
    ids: list[str | None] = field(default_factory=list)

    def says(self, data: bytes) -> None:
        self.connection.data_received(data)


@given(script=steps, queue_rows_max=st.sampled_from([1024, 2]))
@settings(max_examples=150, deadline=None)
def test_every_answer_is_its_requests_own(script: list[Any], queue_rows_max: int) -> None:
    asyncio.run(play(script, queue_rows_max))


async def play(script: list[Any], queue_rows_max: int) -> None:
    server = FakeServer()
    batching = Batching(rows_max=4, queue_rows_max=queue_rows_max)
    for name in ("doubler", "other"):
        server.add_model(name, Doubler(), batching)
    clients = [Client(*server.connect()) for _ in range(3)]
    for number, naming, (asked, wanted), way, turns in script:
        client = clients[number]
        if way == "leaves":
            client.connection.connection_lost(None)
            check(client, queue_rows_max, whole=False)
            clients[number] = Client(*server.connect())
            continue
        client.wanted.append(wanted)
        client.ids.append(None if b"x-request-id: a" not in asked else "a")
        data = client.kept + named(client, naming, asked)
        client.kept = b""
        if way == "with the next":
            client.kept = data
        elif way == "halves":
            client.says(data[:50])
            client.says(data[50:])
        else:
            client.says(data)
        for _ in range(turns):
            await asyncio.sleep(0)
    for client in clients:
        if client.kept:
            client.says(client.kept)
    await server.idle()
    for client in clients:
        check(client, queue_rows_max)
    stats = [server.host.find(name).stats for name in ("doubler", "other")]
    assert all(s.request_seconds.pending or not s.ok for s in stats)
    server.host.close()


def named(client: Client, naming: tuple[str, str], asked: bytes) -> bytes:
    """The request with an id of its own, as a gateway gives it, unless it has one."""
    name, what = naming
    if what == "none" or client.ids[-1] is not None:
        return asked
    number = len(client.ids)
    client.ids[-1] = f"3f1c-{number:08d}-{'b' * (number % 2)}"
    line = f"{name}: {client.ids[-1]}\r\n"
    if what == "all":
        line = GATEWAY.format(name=name, id=client.ids[-1], trace=number, client=number % 3)
    first, _, rest = asked.partition(b"\r\n")
    return first + b"\r\n" + line.encode() + rest


def check(client: Client, queue_rows_max: int, *, whole: bool = True) -> None:
    answers = parse_responses(bytes(client.transport.written))
    assert len(answers) == len(client.wanted) if whole else len(answers) <= len(client.wanted)
    ids = [answer.headers.get("x-request-id") for answer in answers]
    made = [one for one in ids if one != "a"]
    assert len(set(made)) == len(made)
    for sent, found in zip(client.ids, ids, strict=False):
        assert found == sent or (sent is None and found is not None)
    for answer, (status, values) in zip(answers, client.wanted, strict=False):
        if answer.status == 429 and queue_rows_max < 1024:
            continue
        assert answer.status == status
        if values is not None:
            assert json.loads(answer.body)["outputs"][0]["data"] == values


def test_a_second_version_is_asked_as_soon_as_it_is_there() -> None:
    async def run() -> None:
        server = FakeServer()
        old = server.add_model("doubler", Doubler(), Batching())
        client = Client(*server.connect())
        for _ in range(3):
            client.says(request("1.5,2.0"))
            await server.idle()
        new = server.add_model("doubler", Doubler(), Batching(), version="2")
        client.says(request("1.5,2.0"))
        await server.idle()
        assert (old.stats.ok, new.stats.ok) == (3, 1)
        server.host.close()

    asyncio.run(run())


def test_a_request_with_an_id_of_its_own_takes_the_short_way() -> None:
    """The short way reads no body in full: it is a copy of the exchange that went before."""

    async def run() -> None:
        server = FakeServer()
        server.add_model("doubler", Doubler(), Batching())
        client = Client(*server.connect())
        seen = []
        for number in range(4):
            head = GATEWAY.format(name="x-request-id", id=f"id-{number}", trace=number, client=1)
            client.says(request(f"{number}.5,2.0", further=head))
            await server.idle()
            seen.append(client.connection._again)
        answers = parse_responses(bytes(client.transport.written))
        assert [answer.headers["x-request-id"] for answer in answers] == [
            f"id-{number}" for number in range(4)
        ]
        assert [json.loads(a.body)["outputs"][0]["data"][0] for a in answers] == [
            1.0,
            3.0,
            5.0,
            7.0,
        ]
        assert all("x-pai-release" in answer.headers for answer in answers)
        # The first body is read in full, the second by what surrounds it, and then one exchange serves.
        assert seen[1] is not None
        assert seen[2] is seen[3] is seen[1]
        server.host.close()

    asyncio.run(run())


def test_answers_of_the_short_way_are_kept_for_whoever_asks_for_them() -> None:
    async def run() -> None:
        server = FakeServer()
        model = server.add_model("doubler", Doubler(), Batching())
        model.recent.fetch(0)
        client = Client(*server.connect())
        for number in range(4):
            further = f"x-request-id: id-{number}\r\n" + "x-pai-shadow: 1\r\n" * (number == 3)
            client.says(request(f"{number}.5,2.0", further=further))
            await server.idle()
        _, kept, _ = model.recent.fetch(0)
        assert [(each.request_id, each.is_shadow) for each in kept] == [
            (b"id-0", False), (b"id-1", False), (b"id-2", False), (b"id-3", True),
        ]  # fmt: skip
        assert all(each.body and b'"data":[' in each.body for each in kept)
        server.host.close()

    asyncio.run(run())
