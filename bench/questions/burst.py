"""Does a burst ten times the usual traffic cost anybody an answer, and how slow does it get?

Question: a model that takes 20 ms and 2.5 ms more for each row of a batch, on the local target, at 28 requests/s;
then 280/s for 60 s; then 28/s again. Open loop, Poisson arrivals, the same for both fleets: one scales by its
policy from a single replica, one is sized for the peak (two replicas all the time).
Budgets: no request fails; p95 of the burst's first 30 s at most 3 times that of the fleet sized for the peak.

    [chrt --rr 1] python -m bench.questions.burst [--calm-s 40] [--record FILE]
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.harness.card import publish
from tests.e2e.installation import Installation, wait_for

BASE_PER_S, BURST, BURST_S = 28.0, 10.0, 60.0
FIRST_S = 30.0
P95_RATIO_MAX = 3.0
SCALING = {"min": 1, "max": 6, "latency": {"percentile": 95, "ms": 200}}
FIXED = 2
SOURCE = '''"""Takes 20 ms, and 2.5 ms more for each row."""

import time


class Timed:
    signature = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
    }

    def predict(self, x):
        time.sleep(0.0175 + 0.0025 * len(x))
        return x
'''
BODY = json.dumps(
    {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}]}
).encode()


@dataclass(kw_only=True)
class Taken:
    """What became of every request: when it was due, and how long its answer took."""

    answered: list[tuple[float, float]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def p95_ms(self, since_s: float, until_s: float) -> float:
        """Return the 95th percentile of those that were due in a span."""
        found = sorted(took for due, took in self.answered if since_s <= due < until_s)
        return round(1000 * found[int(0.95 * len(found))], 2)


def arrivals(calm_s: float, seed: int) -> list[float]:
    """Return the times of all requests."""
    chance = random.Random(seed)
    spans = [(calm_s, BASE_PER_S), (BURST_S, BASE_PER_S * BURST), (calm_s, BASE_PER_S)]
    found, begin = [], 0.0
    for span_s, rate in spans:
        at = begin + chance.expovariate(rate)
        while at < begin + span_s:
            found.append(at)
            at += chance.expovariate(rate)
        begin += span_s
    return found


async def drive(port: int, name: str, times: list[float]) -> Taken:
    """Send every request when it is due, whatever became of those before."""
    taken, free = Taken(), []
    head = (
        f"POST /v2/models/{name}/infer HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"content-length: {len(BODY)}\r\n\r\n"
    ).encode()
    begin = time.perf_counter() + 0.2

    async def one(due: float) -> None:
        try:
            # The gateway closes connections that were idle for five minutes.
            while free and free[-1][0].at_eof():
                free.pop()[1].close()
            reader, writer = (
                free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
            )
            writer.write(head + BODY)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            length = next(line for line in lines if line.startswith("content-length:"))
            await reader.readexactly(int(length.partition(":")[2]))
            status = lines[0].split(" ")[1]
        except (OSError, EOFError, StopIteration) as error:
            taken.failed.append(repr(error))
            return
        if status == "200":
            taken.answered.append((due, time.perf_counter() - begin - due))
        else:
            taken.failed.append(lines[0])
        if "connection: close" in lines:
            writer.close()
        else:
            free.append((reader, writer))

    waiting = set()
    for due in times:
        delay = begin + due - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        waiting.add(asyncio.create_task(one(due)))
        waiting = {task for task in waiting if not task.done()}
    if waiting:
        await asyncio.wait(waiting, timeout=60)
    for _, writer in free:
        writer.close()
    return taken


def run(
    installation: Installation, name: str, fields: dict[str, Any], times: list[float]
) -> dict[str, Any]:
    """Deploy, drive, and return what was measured."""
    client = installation.client()
    client.deploy(installation.python_spec(name, SOURCE, **fields))
    wait_for("ready", lambda: client.backend(name)["summary"]["state"] == "ready", 120)
    port = int(installation.gateway_url.rpartition(":")[2])
    # The server learns its own speed before it counts; so does a fleet in production.
    asyncio.run(drive(port, name, [number / 50 for number in range(300)]))
    began = time.time()
    taken = asyncio.run(drive(port, name, times))
    ended = time.time()
    # The newest counts reach the store with the next full span.
    wait_for("windows", lambda: client.status(name).summary.traffic.requests >= len(times), 60)
    traffic = client.status(name).summary.traffic
    recorded = client.recording(name)
    events = client.events(name, limit=500)
    client.delete(name)
    wait_for("gone", lambda: name not in {one.name for one in client.status().backends}, 60)
    return {
        "taken": taken,
        "replica_s": replica_seconds(events, began, ended),
        "recorded": recorded,
        "gateway_p95_ms": traffic.p95_ms,
        "starts": sum(e.kind == "replica:started" for e in events) - int(fields.get("replicas", 1)),
    }


def replica_seconds(events: list[Any], began: float, ended: float) -> float:
    """Return the time that replicas were kept, from their start until they were told to go."""
    since: dict[str, float] = {}
    total = 0.0
    for event in events:
        at = min(max(datetime.fromisoformat(event.at).timestamp(), began), ended)
        replica = event.after.get("replica", "")
        if event.kind == "replica:started":
            since[replica] = at
        elif event.kind == "replica:drained" and replica in since:
            total += at - since.pop(replica)
    return total + sum(ended - at for at in since.values())


def keep(path: Path | None, ours: dict[str, Any], times: list[float]) -> None:
    """Keep a run for the simulator's test."""
    if path is None:
        return
    recorded, taken = ours["recorded"], ours["taken"]
    kept = {
        "what": f"one real run of {times[-1]:.0f} s on the local target, recorded by bench.questions.burst",
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "scaling": SCALING,
        **{name: recorded[name] for name in ("curve", "overhead_s", "rows_max", "start_s")},
        "gateway_p95_ms": ours["gateway_p95_ms"],
        "client_p95_ms": taken.p95_ms(0.0, times[-1] + 1),
        "replica_s": round(ours["replica_s"], 2),
        "arrivals_ms": [round(1000 * at) for at in times],
    }
    path.write_text(json.dumps(kept, separators=(",", ":")) + "\n")


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calm-s", type=float, default=40.0)
    parser.add_argument("--record", type=Path, help="Keep the scaled run for the simulator's test.")
    options = parser.parse_args()
    times = arrivals(options.calm_s, seed=11)
    limits = {"resources": {"cpu": 0.25, "memory": "256Mi"}}
    with tempfile.TemporaryDirectory() as folder, Installation(Path(folder)) as installation:
        ours = run(installation, "scaled", {**limits, "scaling": SCALING}, times)
        keep(options.record, ours, times)
        peak = run(installation, "sized", {**limits, "replicas": FIXED}, times)
    first = (options.calm_s, options.calm_s + FIRST_S)
    ratio = ours["taken"].p95_ms(*first) / peak["taken"].p95_ms(*first)
    failed = len(ours["taken"].failed)
    is_first = os.sched_getscheduler(0) == os.SCHED_RR
    publish(
        "burst",
        {
            "requests": len(times),
            "failed": failed,
            "failures": sorted(set(ours["taken"].failed))[:5],
            "p95_ms_first_30_s": ours["taken"].p95_ms(*first),
            "p95_ms_first_30_s_sized_for_peak": peak["taken"].p95_ms(*first),
            "p95_ratio": round(ratio, 2),
            "p95_ratio_max": P95_RATIO_MAX,
            "replica_s": round(ours["replica_s"], 1),
            "replica_s_sized_for_peak": round(peak["replica_s"], 1),
            "starts": ours["starts"],
            "scheduling": "real_time" if is_first else "as others",
            "is_within_budget": failed == 0 and ratio <= P95_RATIO_MAX,
        },
    )


if __name__ == "__main__":
    main()
