"""What every fuzzer shares: its command line, how a finding is kept, and how it ends."""

import argparse
import asyncio
import hashlib
import resource
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GROWN_KIB_MAX = 32 * 1024

Run = Callable[[float, int, Path], Coroutine[Any, Any, int]]
"""Takes seconds, a seed and a corpus; gives the exit code."""


def main(
    told: str | None,
    run: Run,
    corpus: str,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Parse the command line and fuzz."""
    parser = argparse.ArgumentParser(description=told)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, default=HERE / corpus)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        sys.exit(runner.run(run(options.seconds, options.seed, options.corpus)))


def kept(corpus: Path) -> list[bytes]:
    """What earlier runs found worth keeping."""
    corpus.mkdir(exist_ok=True)
    return [path.read_bytes() for path in sorted(corpus.glob("*")) if path.is_file()]


def resident_kib() -> int:
    """What this process has had in memory at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def name_of(data: bytes) -> str:
    """The file's name of an input."""
    return hashlib.sha256(data).hexdigest()[:16]


def keep_finding(data: bytes, finding: Exception) -> None:
    """Write down what was found, and say where."""
    folder = HERE / "findings"
    folder.mkdir(exist_ok=True)
    path = folder / name_of(data)
    path.write_bytes(data)
    print(f"FINDING {path}: {type(finding).__name__}: {finding}")


def ended(told: str, began_kib: int) -> int:
    """Say what was done and how memory grew since it was warm (0: it never was); gives the exit code."""
    grown_kib = resident_kib() - began_kib if began_kib else 0
    print(f"{told}, peak memory grew {grown_kib} KiB")
    if grown_kib > GROWN_KIB_MAX:
        print("FINDING memory grew")
        return 1
    return 0
