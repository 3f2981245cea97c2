"""What travels between control plane and gateway comes back equal."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai.adapters.gateways.envoy.table_codec import (
    decode_counters,
    decode_receipt,
    decode_status,
    decode_table,
    encode_counters,
    encode_receipt,
    encode_status,
    encode_table,
)
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.route import (
    BackendRoute,
    GatewayStatus,
    Hold,
    Mirror,
    Receipt,
    RoutedRelease,
    RoutedReplica,
    RouteTable,
    Sticky,
)
from prometheus_ai.domain.window import CounterSnapshot, Histogram, ReleaseCounters

TEXT = st.text(max_size=8)
COUNT = st.integers(0, 2**53)
SECONDS = st.floats(0, 1e6)
REPLICAS = st.builds(
    RoutedReplica, id=TEXT, endpoint=st.builds(Endpoint, host=TEXT, port=st.integers(0, 65535))
)
RELEASES = st.builds(
    RoutedRelease,
    version=TEXT,
    replicas=st.lists(REPLICAS, max_size=2).map(tuple),
    request_timeout_s=SECONDS,
    request_bytes_max=COUNT,
    hold=st.none() | st.builds(Hold, wait_s=SECONDS, start_s=SECONDS),
)
ROUTES = st.builds(
    BackendRoute,
    backend=TEXT,
    weights=st.lists(st.tuples(TEXT, COUNT), max_size=2).map(tuple),
    releases=st.lists(RELEASES, max_size=2).map(tuple),
    sticky=st.none() | st.builds(Sticky, header=st.none() | TEXT, cookie=st.none() | TEXT),
    mirror=st.none() | st.builds(Mirror, version=TEXT, points=COUNT),
)
TABLES = st.builds(RouteTable, generation=COUNT, backends=st.lists(ROUTES, max_size=2).map(tuple))
HISTOGRAMS = st.builds(
    Histogram, sum=SECONDS, buckets=st.dictionaries(st.integers(-400, 400), COUNT, max_size=3)
)
COUNTERS = st.builds(ReleaseCounters, backend=TEXT, version=TEXT, latency_s=HISTOGRAMS)
SNAPSHOTS = st.builds(
    CounterSnapshot,
    epoch=TEXT,
    at=st.datetimes(timezones=st.just(UTC)),
    releases=st.lists(COUNTERS, max_size=2).map(tuple),
)
RECEIPTS = st.builds(Receipt, took_s=SECONDS)
STATUSES = st.builds(GatewayStatus)


@given(TABLES)
def test_a_table_comes_back_equal(table: RouteTable) -> None:
    assert decode_table(encode_table(table)) == table


@given(RECEIPTS, STATUSES)
def test_answers_come_back_equal(receipt: Receipt, status: GatewayStatus) -> None:
    assert decode_receipt(encode_receipt(receipt)) == receipt
    assert decode_status(encode_status(status)) == status


@given(SNAPSHOTS)
def test_counters_come_back_equal(snapshot: CounterSnapshot) -> None:
    assert decode_counters(encode_counters(snapshot)) == snapshot


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"generation": "x", "backends": []}', b'{"generation": 1}']
)
def test_what_is_no_table_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="no route table"):
        decode_table(content)
