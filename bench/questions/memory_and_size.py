"""How much memory and disk does a server take?

Question: resident memory (the sum over its processes) with both models loaded and every question answered;
disk space of its environment above the engine libraries (onnxruntime, tokenizers, NumPy).

    python -m bench.peers.install && python -m bench.questions.memory_and_size [NAME …]
"""

import argparse
import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.harness.card import publish
from bench.peers.install import size_bytes
from bench.peers.roster import BY_NAME, OURS, installed
from bench.peers.running import Running, running
from bench.peers.versions import versions

SIZE_BUDGET_MB = 14.0


def memory_mib(members: Iterable[int]) -> dict[str, float]:
    """Return resident and proportional memory of processes."""
    kinds = {"Rss": 0, "Pss": 0}
    for pid in members:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                kind, _, rest = line.partition(":")
                if kind in kinds:
                    kinds[kind] += int(rest.split()[0])
    return {f"{kind.lower()}_mib": round(kb / 1024, 1) for kind, kb in kinds.items()}


def loaded(server: Running) -> dict[str, Any]:
    """Return what a server takes once it has answered everything."""
    server.largest_error()
    members = server.members()
    return {"processes": len(members), **memory_mib(members)}


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    peers = installed(parser.parse_args().names)
    ours_base = int((BY_NAME[OURS].folder / "installed").read_text())
    table = {}
    for peer in peers:
        with running(peer) as server:
            table[peer.name] = loaded(server)
        base = int((peer.folder / "installed").read_text()) or ours_base
        table[peer.name]["above_engines_mb"] = round((size_bytes(peer.folder) - base) / 1e6, 1)
        print(peer.name, table[peer.name], flush=True)
    others = {n: row["rss_mib"] for n, row in table.items() if n != OURS}
    smallest = min(others, key=lambda name: others[name], default="")
    ours = table[OURS]
    publish(
        "memory_and_size",
        {
            "memory": {"ours_mib": ours["rss_mib"], "best": smallest,
                       "theirs_mib": others.get(smallest),
                       "is_met": ours["rss_mib"] <= others.get(smallest, 0.0)},
            "size": {"budget_mb": SIZE_BUDGET_MB, "ours_mb": ours["above_engines_mb"],
                     "is_met": ours["above_engines_mb"] <= SIZE_BUDGET_MB},
            "table": table,
            "versions": versions(peers),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
