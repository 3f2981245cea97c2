"""Our server, the model alone, and the model behind a bare socket, turn by turn."""

import contextlib
import dataclasses
import statistics
import subprocess
from collections.abc import Iterator
from typing import Any

from bench.peers.load import Condition, Load, measure, plain_load, schedule
from bench.peers.roster import HERE, Peer
from bench.peers.running import Running, running

CELLS = ((1, 1), (16, 16), (64, 32))
"""Connections, and the batch that they could fill at best."""

READY_S = 60.0


class Loop:
    """The model in a process of its own, which runs while it is asked to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._line()

    def rate(self, batch: int, seconds: float) -> float:
        """Return rows a second, before all other work of the machine."""
        assert self._process.stdin is not None
        schedule([self._process.pid], "real_time")
        self._process.stdin.write(f"{batch} {seconds}\n")
        self._process.stdin.flush()
        return float(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the loop ended; see above")
        return line


@contextlib.contextmanager
def looping(peer: Peer, *words: str) -> Iterator[Loop]:
    """Yield the model in a loop that waits to be asked."""
    python = str(peer.folder / "bin" / "python")
    process = subprocess.Popen(
        [python, str(HERE / "limit_loop.py"), *words], env=peer.environ(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Loop(process)
    finally:
        process.kill()
        with process:
            process.wait(timeout=READY_S)


def pairs(peer: Peer, turns: int, seconds: float) -> list[dict[str, Any]]:
    """Return, for each cell, all rates and the median shares over the turns."""
    bare = dataclasses.replace(
        peer, name="bare", program=("python", "{servers}/bare_server.py", "{http}"), has_grpc=False
    )
    with contextlib.ExitStack() as stack:
        servers = {one.name: stack.enter_context(running(one)) for one in (peer, bare)}
        loads = {name: plain_load(server, "minilm") for name, server in servers.items()}
        loops = {
            "loop": stack.enter_context(looping(peer)),
            "loop on huge pages": stack.enter_context(looping(peer, "huge")),
        }
        return [_cell(cell, turns, seconds, servers, loads, loops) for cell in CELLS]


def _cell(
    cell: tuple[int, int],
    turns: int,
    seconds: float,
    servers: dict[str, Running],
    loads: dict[str, Load],
    loops: dict[str, Loop],
) -> dict[str, Any]:
    connections, batch = cell
    condition = Condition(connections=connections, seconds=seconds, scheduling="real_time")
    rates: dict[str, list[float]] = {name: [] for name in (*loops, *servers)}
    for _ in range(turns):
        for name, loop in loops.items():
            rates[name].append(loop.rate(batch, seconds))
        for name, server in servers.items():
            rates[name].append(measure(server, loads[name], condition).requests_per_s)
        print(f"c={connections}:", *(f"{name} {found[-1]:.1f}" for name, found in rates.items()))
    limits = rates["loop"]
    ours, beside = next(iter(servers)), {}
    for name, found in rates.items():
        shares = sorted(one / limit for one, limit in zip(found, limits, strict=True))
        beside[name] = {
            "per_s": round(statistics.median(found), 1),
            "share": round(statistics.median(shares), 3),
            "middle_half": [round(x, 3) for x in statistics.quantiles(shares, n=4)[::2]],
        }
    return {
        "connections": connections, "batch": batch, "turns": turns,
        "ours": beside[ours]["per_s"], "limit": beside["loop"]["per_s"],
        "share": beside[ours]["share"], "beside": beside,
    }  # fmt: skip
