"""Put load on a server with wrk, and say what else the machine did meanwhile.

Load generator, server and everything else share the machine's cores.
A point says how many cores were used by neither server nor generator: the fewer, the more it says.

``ordinary`` scheduling lets other work compete, though server and generator come first alike.
``real_time`` runs server and generator alike before all other work (SCHED_RR): on a machine that
others use, throughput is then what it is on an idle one. The kernel keeps 5 % of each core for
others, in one piece, so the slowest percent of a server that fills a core is not its own doing.
"""

import contextlib
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bench.peers.roster import HERE
from bench.peers.running import Running, questions

QUIET_CORES = 0.2
"""A point is quiet when everything else used less than this."""

_SCRIPT = HERE / "wrk" / "post.lua"
_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_URGENT = -15
_PRIORITY = 1

Scheduling = Literal["ordinary", "real_time"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One stretch of load."""

    server: str
    model: str
    connections: int
    scheduling: Scheduling
    round: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    bad: int
    server_cores: float
    load_cores: float
    foreign_cores: float

    @property
    def is_quiet(self) -> bool:
        """Whether the rest of the machine left it alone."""
        return self.foreign_cores < QUIET_CORES

    def as_json(self) -> dict[str, Any]:
        """Return the point, numbers rounded."""
        fields = asdict(self)
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in fields.items()}


@dataclass(frozen=True, kw_only=True)
class Load:
    """What to send: bodies in turn to one path, with further header lines."""

    model: str
    path: str
    bodies: Sequence[bytes]
    headers: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Condition:
    """How a point is taken."""

    connections: int
    seconds: float
    scheduling: Scheduling = "ordinary"
    round: int = 0


def plain_load(server: Running, model: str) -> Load:
    """Return all questions for a model in the server's own form."""
    form = server.peer.form
    bodies = [form.body(model, question) for question in questions()[model]]
    return Load(model=model, path=server.peer.path(model), bodies=bodies)


def measure(server: Running, load: Load, condition: Condition) -> Point:
    """Load the server for a while, after a second that does not count."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(b"%d\n%b" % (len(body), body) for body in load.bodies))
        file.flush()
        command = [
            *_before(condition.scheduling), "wrk", "--threads", "1", "--connections",
            str(condition.connections), "--timeout", "10s", "--script", str(_SCRIPT),
            f"http://127.0.0.1:{server.port}{load.path}",
        ]  # fmt: skip
        tail = ["--", file.name, *load.headers]
        _run([*command, "--duration", "1s", *tail])
        members = server.members()
        schedule(members, condition.scheduling)
        before = busy_s(), _process_s(members), _children_s(), time.perf_counter()
        found = _run([*command, "--duration", f"{condition.seconds:g}s", *tail])
        after = busy_s(), _process_s(members), _children_s(), time.perf_counter()
    busy, served, loaded, wall = (b - a for a, b in zip(before, after, strict=True))
    return Point(
        server=server.peer.name,
        model=load.model,
        connections=condition.connections,
        scheduling=condition.scheduling,
        round=condition.round,
        requests_per_s=found["requests"] / found["seconds"],
        p50_ms=found["p50_ms"],
        p99_ms=found["p99_ms"],
        bad=found["bad"],
        server_cores=served / wall,
        load_cores=loaded / wall,
        foreign_cores=(busy - served - loaded) / wall,
    )


def _run(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _before(scheduling: Scheduling) -> list[str]:
    return ["chrt", "--rr", str(_PRIORITY)] if scheduling == "real_time" else []


def schedule(members: Iterable[int], scheduling: Scheduling) -> None:
    """Put a server, and what this program starts, before the machine's other work."""
    policy = os.SCHED_RR if scheduling == "real_time" else os.SCHED_OTHER
    parameter = os.sched_param(_PRIORITY if scheduling == "real_time" else 0)
    for pid in ("self", *members):
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/autogroup").write_text(str(_URGENT))
    for pid in members:
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setscheduler(int(thread.name), policy, parameter)


def busy_s() -> float:
    """CPU time that the whole machine has spent on anything."""
    user, nice, system, _idle, _wait, irq, softirq, steal, *_ = (
        int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) * _TICK_S


def _process_s(members: Iterable[int]) -> float:
    ticks = 0
    for pid in members:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks * _TICK_S


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
