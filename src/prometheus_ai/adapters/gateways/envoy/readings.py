"""From Envoy's statistics to cumulative counters of each release."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from prometheus_ai.domain.window import CounterSnapshot, Histogram, ReleaseCounters, bucket_index

SLOTS = 32
"""Parts that one of Envoy's buckets is spread over; the spread is exact to 1/32 of its width."""
DEPARTED_MAX = 4096
"""Releases whose clusters are gone and whose last counts are kept."""

_REVERSED = tuple(int(f"{slot:05b}"[::-1], 2) for slot in range(SLOTS))
_NAME = re.compile(r"^cluster\.([^.]+)\.(upstream_\w+)$")
_MS = 1e-3

Key = tuple[str, str]
ReleaseOf = Callable[[str], Key | None]
"""Backend and version of a cluster's name in statistics; None for a foreign cluster."""


def counters_by_release(
    stats: Mapping[str, Any], release_of: ReleaseOf
) -> dict[Key, ReleaseCounters]:
    """Return the counters in one answer of Envoy's ``/stats`` with detailed histograms."""
    numbers: dict[Key, dict[str, int]] = {}
    times: dict[Key, Histogram] = {}
    for entry in stats["stats"]:
        if "histograms" in entry:
            for detail in entry["histograms"]["details"]:
                found = _place(detail["name"], release_of)
                if found and found[1] == "upstream_rq_time":
                    times[found[0]] = latency_histogram(detail["totals"])
            continue
        found = _place(entry["name"], release_of)
        if found:
            numbers.setdefault(found[0], {})[found[1]] = int(entry["value"])
    return {
        key: _counters(key, values, times.get(key, Histogram())) for key, values in numbers.items()
    }


def latency_histogram(totals: list[Mapping[str, float]]) -> Histogram:
    """Turn Envoy's log-linear buckets of whole milliseconds into a histogram of seconds.

    Envoy cuts off fractions, so a bucket with value ``k`` holds ``[k, k + 1)`` ms. Observations are
    dealt out over each bucket's parts in bit-reversed order: equal counts give equal results, and
    more observations never make any part smaller, so differences of readings are never negative.
    """
    buckets: dict[int, int] = {}
    count, sum_s = 0, 0.0
    for total in totals:
        lower, held = total["lower_bound"], int(total["count"])
        width = max(total["width"], 1.0)
        count += held
        for slot in range(SLOTS):
            share = (held + SLOTS - 1 - _REVERSED[slot]) // SLOTS
            if share:
                value_s = (lower + width * (slot + 0.5) / SLOTS) * _MS
                index = bucket_index(value_s)
                buckets[index] = buckets.get(index, 0) + share
                sum_s += share * value_s
    return Histogram(count=count, sum=sum_s, buckets=buckets)


class CounterLedger:
    """Cumulative counters of one Envoy's life, whatever clusters come and go meanwhile."""

    def __init__(self) -> None:
        self._epoch = ""
        self._last: dict[Key, ReleaseCounters] = {}
        """Counts as Envoy last showed them, clusters that are gone included."""
        self._base: dict[Key, ReleaseCounters] = {}
        """Counts of former clusters of the same name."""

    def knows(self, keys: frozenset[Key]) -> bool:
        """Whether any of these releases has been counted in this life of Envoy."""
        return bool(keys & self._last.keys())

    def observe(
        self,
        epoch: str,
        readings: Mapping[Key, ReleaseCounters],
        revived: frozenset[Key] = frozenset(),
    ) -> None:
        """Take one reading of the Envoy that ``epoch`` identifies.

        ``revived`` are releases whose clusters were made again since the last reading. Such a cluster
        starts at zero, unless a request of its former life is still under way.
        """
        if epoch != self._epoch:
            self._epoch, self._last, self._base = epoch, {}, {}
        unused = (revived & self._last.keys()) - readings.keys()
        readings = dict(readings) | {key: _counters(key, {}, Histogram()) for key in unused}
        for key in self._last.keys() - readings.keys():
            if self._last[key].active or self._last[key].pending:
                self._last[key] = replace(self._last[key], active=0, pending=0)
        for key, now in readings.items():
            last = self._last.pop(key, None)
            if last is not None and now.requests < last.requests:
                base = self._base.get(key)
                self._base[key] = _add(base, last) if base else last
            self._last[key] = now
        # Whatever was read now stands at the end, so the first ones departed the longest ago.
        while len(self._last) - len(readings) > DEPARTED_MAX:
            key = next(iter(self._last))
            del self._last[key]
            self._base.pop(key, None)

    def snapshot(self, at: datetime) -> CounterSnapshot:
        """Return everything counted in this Envoy's life."""
        releases = (
            _add(self._base[key], now) if key in self._base else now
            for key, now in sorted(self._last.items())
        )
        return CounterSnapshot(epoch=self._epoch, at=at, releases=tuple(releases))


def _place(name: str, release_of: ReleaseOf) -> tuple[Key, str] | None:
    match = _NAME.match(name)
    key = release_of(match[1]) if match else None
    return (key, match[2]) if match and key else None


def _counters(key: Key, values: Mapping[str, int], latency_s: Histogram) -> ReleaseCounters:
    # What never reached a replica is the gateway's own 503: capacity, not the release's fault.
    turned_away = values.get("upstream_rq_pending_overflow", 0) + values.get(
        "upstream_cx_none_healthy", 0
    )
    return ReleaseCounters(
        backend=key[0],
        version=key[1],
        requests=max(0, values.get("upstream_rq_completed", 0) - turned_away),
        errors=max(0, values.get("upstream_rq_5xx", 0) - turned_away),
        client_errors=values.get("upstream_rq_4xx", 0),
        rejected=turned_away,
        retries=values.get("upstream_rq_retry", 0),
        active=values.get("upstream_rq_active", 0),
        pending=values.get("upstream_rq_pending_active", 0),
        latency_s=latency_s,
    )


def _add(earlier: ReleaseCounters, now: ReleaseCounters) -> ReleaseCounters:
    return replace(
        now,
        requests=earlier.requests + now.requests,
        errors=earlier.errors + now.errors,
        client_errors=earlier.client_errors + now.client_errors,
        rejected=earlier.rejected + now.rejected,
        retries=earlier.retries + now.retries,
        latency_s=earlier.latency_s.merge(now.latency_s),
    )
