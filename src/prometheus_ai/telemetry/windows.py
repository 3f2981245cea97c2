"""From cumulative counters to windows, and from windows to longer windows."""

from collections.abc import Iterable

from prometheus_ai.domain.window import CounterSnapshot, Histogram, ReleaseCounters, Window


def windows_between(previous: CounterSnapshot, current: CounterSnapshot) -> list[Window]:
    """Return one window for each release that did something between two readings.

    When the data plane is another one than before, its counters started at zero. Within one epoch
    counters only grow; where one is smaller, its reader lost its memory, and that stretch is unknown:
    it gives no window rather than a wrong one.
    """
    before: dict[tuple[str, str], ReleaseCounters] = {}
    if previous.epoch == current.epoch:
        before = {(found.backend, found.version): found for found in previous.releases}
    # A wall clock that was set back must not turn a window inside out.
    start = min(previous.at, current.at)
    windows = []
    for now in current.releases:
        since = before.get((now.backend, now.version), _nothing(now))
        if not _is_growth(since, now):
            continue
        window = Window(
            backend=now.backend,
            version=now.version,
            start=start,
            end=current.at,
            requests=now.requests - since.requests,
            errors=now.errors - since.errors,
            client_errors=now.client_errors - since.client_errors,
            rejected=now.rejected - since.rejected,
            retries=now.retries - since.retries,
            latency_s=_difference(since.latency_s, now.latency_s),
        )
        if window.requests or window.rejected or window.retries or window.latency_s.count:
            windows.append(window)
    return windows


def merge_windows(windows: Iterable[Window]) -> list[Window]:
    """Return one window for each release, over everything that was given; by name."""
    merged: dict[tuple[str, str], Window] = {}
    for window in windows:
        key = (window.backend, window.version)
        merged[key] = merged[key].merge(window) if key in merged else window
    return [merged[key] for key in sorted(merged)]


def _nothing(counters: ReleaseCounters) -> ReleaseCounters:
    return ReleaseCounters(
        backend=counters.backend,
        version=counters.version,
        requests=0,
        errors=0,
        client_errors=0,
        rejected=0,
        retries=0,
        active=0,
        pending=0,
        latency_s=Histogram(),
    )


def _is_growth(since: ReleaseCounters, now: ReleaseCounters) -> bool:
    return (
        now.requests >= since.requests
        and now.errors >= since.errors
        and now.client_errors >= since.client_errors
        and now.rejected >= since.rejected
        and now.retries >= since.retries
        and now.latency_s.count >= since.latency_s.count
        and all(
            now.latency_s.buckets.get(index, 0) >= count
            for index, count in since.latency_s.buckets.items()
        )
    )


def _difference(since: Histogram, now: Histogram) -> Histogram:
    buckets = {
        index: count - since.buckets.get(index, 0)
        for index, count in now.buckets.items()
        if count > since.buckets.get(index, 0)
    }
    return Histogram(
        count=now.count - since.count,
        # A difference of long sums can fall below zero by rounding.
        sum=max(0.0, now.sum - since.sum),
        zero_count=now.zero_count - since.zero_count,
        buckets=buckets,
    )
