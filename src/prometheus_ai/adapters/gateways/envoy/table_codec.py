"""Route tables, receipts, status and counters as JSON, between control plane and gateway."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.route import (
    BackendRoute,
    GatewayStatus,
    HeldRelease,
    HeldReport,
    Hold,
    Mirror,
    Receipt,
    RoutedRelease,
    RoutedReplica,
    RouteTable,
    Sticky,
)
from prometheus_ai.domain.window import CounterSnapshot, Histogram, ReleaseCounters


def encode_table(table: RouteTable) -> bytes:
    """Return a table as JSON; equal tables give equal bytes."""
    body = {"generation": table.generation, "backends": [_backend(r) for r in table.backends]}
    return json.dumps(body, separators=(",", ":")).encode()


def decode_table(content: bytes) -> RouteTable:
    """Return the table that JSON holds.

    Raises:
        InvalidInput: it is no table; says what is wrong.
    """
    try:
        body = json.loads(content)
        return RouteTable(
            generation=int(body["generation"]),
            backends=tuple(_to_backend(found) for found in body["backends"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"this is no route table: {error!r}") from error


def encode_receipt(receipt: Receipt) -> bytes:
    """Return a receipt as JSON."""
    return json.dumps(asdict(receipt)).encode()


def decode_receipt(content: bytes) -> Receipt:
    """Return the receipt that JSON holds."""
    return Receipt(**json.loads(content))


def encode_status(status: GatewayStatus) -> bytes:
    """Return a status as JSON."""
    return json.dumps(asdict(status)).encode()


def decode_status(content: bytes) -> GatewayStatus:
    """Return the status that JSON holds."""
    return GatewayStatus(**json.loads(content))


def encode_counters(snapshot: CounterSnapshot) -> bytes:
    """Return counters as JSON."""
    releases = [asdict(found) for found in snapshot.releases]
    body = {"epoch": snapshot.epoch, "at": snapshot.at.isoformat(), "releases": releases}
    return json.dumps(body, separators=(",", ":")).encode()


def decode_counters(content: bytes) -> CounterSnapshot:
    """Return the counters that JSON holds."""
    body = json.loads(content)
    return CounterSnapshot(
        epoch=body["epoch"],
        at=datetime.fromisoformat(body["at"]),
        releases=tuple(_to_counters(found) for found in body["releases"]),
    )


def encode_held(report: HeldReport) -> bytes:
    """Return a report of held requests as JSON."""
    return json.dumps(asdict(report)).encode()


def decode_held(content: bytes) -> HeldReport:
    """Return the report of held requests that JSON holds."""
    body = json.loads(content)
    return HeldReport(
        number=int(body["number"]),
        releases=tuple(HeldRelease(**found) for found in body["releases"]),
    )


def _backend(route: BackendRoute) -> dict[str, Any]:
    sticky = route.sticky
    return {
        "backend": route.backend,
        "weights": route.weights,
        "sticky": {"header": sticky.header, "cookie": sticky.cookie} if sticky else None,
        "mirror": asdict(route.mirror) if route.mirror else None,
        "releases": [
            {
                "version": release.version,
                "request_timeout_s": release.request_timeout_s,
                "request_bytes_max": release.request_bytes_max,
                "is_idempotent": release.is_idempotent,
                "hold": asdict(release.hold) if release.hold else None,
                "replicas": [
                    {
                        "id": replica.id,
                        "host": replica.endpoint.host,
                        "port": replica.endpoint.port,
                        "grpc_port": replica.endpoint.grpc_port,
                        "is_draining": replica.is_draining,
                    }
                    for replica in release.replicas
                ],
            }
            for release in route.releases
        ],
    }


def _to_backend(found: Mapping[str, Any]) -> BackendRoute:
    return BackendRoute(
        backend=str(found["backend"]),
        weights=tuple((str(version), int(weight)) for version, weight in found["weights"]),
        releases=tuple(_to_release(release) for release in found["releases"]),
        sticky=Sticky(**found["sticky"]) if found["sticky"] else None,
        # Tables that an older control plane left on disk have none.
        mirror=Mirror(**found["mirror"]) if found.get("mirror") else None,
    )


def _to_release(found: Mapping[str, Any]) -> RoutedRelease:
    return RoutedRelease(
        version=str(found["version"]),
        replicas=tuple(
            RoutedReplica(
                id=str(replica["id"]),
                endpoint=Endpoint(
                    host=str(replica["host"]),
                    port=int(replica["port"]),
                    # Tables that an older control plane left on disk have none.
                    grpc_port=replica.get("grpc_port"),
                ),
                is_draining=bool(replica["is_draining"]),
            )
            for replica in found["replicas"]
        ),
        request_timeout_s=float(found["request_timeout_s"]),
        request_bytes_max=int(found["request_bytes_max"]),
        is_idempotent=bool(found["is_idempotent"]),
        # Tables on disk from before requests were held do not name it.
        hold=Hold(**found["hold"]) if found.get("hold") else None,
    )


def _to_counters(found: dict[str, Any]) -> ReleaseCounters:
    latency = found.pop("latency_s")
    buckets = {int(index): count for index, count in latency.pop("buckets").items()}
    return ReleaseCounters(**found, latency_s=Histogram(**latency, buckets=buckets))
