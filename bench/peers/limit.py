"""Our server and the model alone, turn by turn."""

import statistics
import subprocess
from typing import Any

from bench.peers.load import Condition, measure, plain_load
from bench.peers.roster import HERE, Peer
from bench.peers.running import running

CELLS = ((1, 1), (16, 16), (64, 32))
"""Connections, and the batch that they could fill at best."""


def alone(peer: Peer, batch: int, seconds: float) -> float:
    """Return rows a second of the model in a loop, before all other work of the machine."""
    loop = ["chrt", "--rr", "1", str(peer.folder / "bin" / "python"), str(HERE / "limit_loop.py")]
    done = subprocess.run(
        [*loop, str(batch), str(seconds)],
        env=peer.environ(), capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return float(done.stdout)


def pairs(peer: Peer, turns: int, seconds: float) -> list[dict[str, Any]]:
    """Return, for each cell, both rates and the median share over the turns."""
    found = []
    for connections, batch in CELLS:
        served, limits = [], []
        with running(peer) as server:
            load = plain_load(server, "minilm")
            condition = Condition(connections=connections, seconds=seconds, scheduling="real_time")
            for _ in range(turns):
                limits.append(alone(peer, batch, seconds))
                served.append(measure(server, load, condition).requests_per_s)
                print(f"limit {batch}: {limits[-1]:.1f}; served c={connections}: {served[-1]:.1f}")
        shares = [s / limit for s, limit in zip(served, limits, strict=True)]
        found.append({
            "connections": connections, "batch": batch,
            "ours": round(statistics.median(served), 1),
            "limit": round(statistics.median(limits), 1),
            "share": round(statistics.median(shares), 3),
            "shares": [round(share, 3) for share in sorted(shares)],
        })  # fmt: skip
    return found
