"""How numbers and states are written for people."""

from collections.abc import Mapping
from typing import Any

from prometheus_ai.client.records import Record


def weights(percent: Mapping[str, float]) -> str:
    """Return ``v1=90 v2=10``, or a dash."""
    return " ".join(f"{version}={share:g}" for version, share in percent.items()) or "-"


def traffic(summary: Record) -> str:
    """Return the weights in force, and the wanted ones where they differ."""
    now, wanted = weights(summary.weights), weights(summary.weights_wanted)
    return now if now == wanted else f"{now} -> {wanted}"


def milliseconds(value: float | None) -> str:
    """Return ``1.2 ms``; a dash when too few requests support a number."""
    if value is None:
        return "-"
    return (
        f"{value:.0f} ms" if value >= 100 else f"{value:.2g} ms" if value < 1 else f"{value:.1f} ms"
    )


def count(value: int) -> str:
    """Return a number with thin groups: ``12,345``."""
    return f"{value:,}"


def errors(seen: Record) -> str:
    """Return errors and their share: ``3 (0.1 %)``."""
    if not seen.errors:
        return "0"
    percent = 100 * seen.errors / max(seen.requests, 1)
    return f"{seen.errors:,} ({percent:{'.2g' if percent < 10 else '.0f'}} %)"


def moment(text: Any) -> str:
    """Return a time to the second, as UTC: ``2026-11-22 06:00:00``."""
    return str(text)[:19].replace("T", " ")


def latency_cells(seen: Record) -> tuple[str, str, str]:
    """Return p50, p95 and p99."""
    return milliseconds(seen.p50_ms), milliseconds(seen.p95_ms), milliseconds(seen.p99_ms)
