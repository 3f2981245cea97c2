"""Bodies whose numbers are looked at while they come: what is called finite is finite."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from prometheus_ai_runtime.http.body_reader import BodyReader
from prometheus_ai_runtime.tensors.received import ALIGNED_BYTES, Received, is_known_finite

OTHERS = [np.nan, np.inf, -np.inf]


class Owner:
    """Keeps the bodies it is given, and asks whether their numbers are finite."""

    def __init__(self, json_bytes: int) -> None:
        self.json_bytes = json_bytes
        self.bodies: list[bytes] = []
        self.known: list[bool] = []

    def large_body_begins(self) -> bool:
        return True

    def large_body_done(self, body: memoryview) -> None:
        self.bodies.append(bytes(body))
        self.known.append(is_known_finite(body[self.json_bytes :]))

    def data_received(self, data: bytes) -> None:
        raise AssertionError(data)

    def connection_lost(self, _error: Exception | None, /) -> None:
        return None

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        return None

    def resume_writing(self) -> None:
        return None


@given(
    json_bytes=st.integers(1, 9),
    bodies=st.lists(st.lists(st.sampled_from([0.5, -3e38, *OTHERS]), min_size=9, max_size=9)),
    pieces=st.lists(st.integers(1, 60), min_size=1),
)
def test_bodies_are_whole_and_only_finite_ones_are_called_so(
    json_bytes: int, bodies: list[list[float]], pieces: list[int]
) -> None:
    head, owner = b"HEAD\r\n\r\n", Owner(json_bytes)
    sent = [b"j" * json_bytes + np.array(values, "<f4").tobytes() for values in bodies]
    size = json_bytes + 9 * 4
    # The first body began before this reader was there, and so did its head.
    first = b"j" * json_bytes + bytes(36)
    reader = BodyReader(owner, size, [first[:5]], binary_at=json_bytes, head=head)
    stream = first[5:] + b"".join(head + body for body in sent)
    at = 0
    while at < len(stream):
        room = reader.get_buffer(-1)
        # A head that does not come whole is read in the usual way, by its owner.
        least = len(head) if len(room) == len(head) + size else 1
        count = min(len(room), max(least, pieces[at % len(pieces)]))
        room[:count] = stream[at : at + count]
        reader.buffer_updated(count)
        at += count
    assert owner.bodies == [first, *sent]
    # Nobody looks at the first; then all that can be added up are known.
    assert owner.known[0] is False
    for values, known in zip(bodies, owner.known[1:], strict=True):
        assert not known or np.isfinite(values).all()
        if values == [0.5] * 9:
            assert known


def test_tensors_begin_at_an_aligned_place() -> None:
    for tensors_at in range(70):
        _, view = Received.room(200, tensors_at)
        address = np.frombuffer(view, np.uint8).__array_interface__["data"][0]
        assert (address + tensors_at) % ALIGNED_BYTES == 0
        assert len(view) == 200


@pytest.mark.parametrize("looked_at", [0, 99, 103])
def test_what_was_not_looked_at_to_its_end_is_not_known(looked_at: int) -> None:
    made, view = Received.room(104, 4)
    view[:] = bytes(104)
    made.look(view, looked_at)
    assert not is_known_finite(view[4:])
    made.look(view, 104)
    assert is_known_finite(view[4:])
    assert not is_known_finite(view[5:101]), "these are other numbers"
    assert not is_known_finite(memoryview(bytes(100))), "this came in another way"


def test_an_idle_reader_keeps_no_body() -> None:
    reader = BodyReader(Owner(4), 104, [bytes(100)], binary_at=4, head=b"HEAD")
    reader.get_buffer(-1)[:] = bytes(4)
    reader.buffer_updated(4)
    assert reader._received is None
    assert reader._view is None
