"""How fast is the line on one machine: a deploy, a route flip, a command, an idle platform?

Question: on a real installation (control plane, gateway, Envoy, one ONNX backend of two replicas):
time of `pai deploy` with the environment made before until the first answer; time from the API call to new
weights in force, over 100 flips under load, and the requests lost; whole-process time of `pai status` and
`pai --help`; memory and CPU of control plane and gateway when nobody asks anything.
Beside them, as the physical limit of a command: `python -c pass`.

    python -m bench.questions.line [--flips 100] [--idle-s 20]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from bench.harness.card import publish
from tests.e2e.installation import PAI, Installation, Load, wait_for

BUDGETS = {
    "deploy_to_first_200_s": 3.0,
    "flip_ms_p50": 50.0,
    "status_process_s": 0.5,
    "help_process_s": 0.3,
    "idle_memory_mb": 250.0,
    "idle_cpu_share": 0.02,
}


def deploy_s(installation: Installation) -> float:
    """Return the time of one deploy command until the gateway answers 200 for it."""
    path = installation.root / "times-9.yaml"
    spec = installation.spec(9.0, name="fresh")
    model = spec["model"]["path"]
    path.write_text(f"name: fresh\nmodel:\n  path: {model}\n  engine: onnx\n")
    started = time.perf_counter()
    done = installation.pai("deploy", str(path), "--wait")
    assert done.returncode == 0, done.stderr
    url = f"{installation.gateway_url}/v2/models/fresh/infer"
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}
    wait_for("200", lambda: httpx.post(url, json={"inputs": [tensor]}).status_code == 200)
    return time.perf_counter() - started


def flips(installation: Installation, count: int) -> dict[str, Any]:
    """Flip all traffic to and fro under load; return latencies and what was lost."""
    client = installation.client()
    client.deploy(installation.spec(3.0, replicas=2), weight=0)
    took_ms = []
    with Load(url=f"{installation.gateway_url}/v2/models/scaling/infer") as load:
        load.wait_for_more(50)
        for turn in range(count):
            version = "v2" if turn % 2 == 0 else "v1"
            started = time.perf_counter()
            assert client.route("scaling", {version: 100})["is_in_force"]
            took_ms.append((time.perf_counter() - started) * 1000)
            load.wait_for_more(5)
        load.wait_for_more(50)
    took_ms.sort()
    return {
        "flips": count,
        "flip_ms_p50": round(statistics.median(took_ms), 2),
        "flip_ms_p95": round(took_ms[int(0.95 * count)], 2),
        "flip_ms_max": round(took_ms[-1], 2),
        "requests_under_flips": load.answered,
        "requests_lost": len(load.failures),
    }


def process_s(command: list[str], environ: dict[str, str], times: int = 9) -> float:
    """Return the median whole-process time of a command."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(command, env=environ, check=True, capture_output=True, timeout=60)
        taken.append(time.perf_counter() - started)
    return round(statistics.median(taken), 3)


def tree(installation: Installation) -> list[int]:
    """Return the processes of control plane, gateway and Envoy."""
    pids = [process.pid for process in installation.processes.values()]
    return [*pids, installation.client().status()["gateway_pid"]]


def memory_mb(pids: list[int]) -> dict[str, float]:
    """Return the proportional set size of each process, by command, in MB."""
    found = {}
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        pss_kb = next(int(line.split()[1]) for line in rollup.splitlines() if "Pss:" in line)
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        found[f"{name}-{pid}"] = round(pss_kb / 1000, 1)
    return found


def cpu_s(pids: list[int]) -> float:
    """Return the CPU time that these processes have used."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def idle(installation: Installation, seconds: float) -> dict[str, Any]:
    """Return memory and CPU share while nobody asks."""
    pids = tree(installation)
    installation.forget_client()
    time.sleep(3.0)
    before, started = cpu_s(pids), time.monotonic()
    time.sleep(seconds)
    share = (cpu_s(pids) - before) / (time.monotonic() - started)
    memory = memory_mb(pids)
    return {
        "idle_memory_mb": round(sum(memory.values()), 1),
        "idle_memory_by_process_mb": memory,
        "idle_cpu_share": round(share, 4),
    }


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=100)
    parser.add_argument("--idle-s", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Installation(Path(folder)) as installation:
        installation.client().deploy(installation.spec(2.0, replicas=2))
        answer: dict[str, Any] = {"deploy_to_first_200_s": round(deploy_s(installation), 3)}
        answer |= flips(installation, options.flips)
        environ = installation.environ
        answer["status_process_s"] = process_s([PAI, "status"], environ)
        answer["help_process_s"] = process_s([PAI, "--help"], environ)
        answer["python_process_s"] = process_s([sys.executable, "-c", "pass"], environ)
        answer |= idle(installation, options.idle_s)
    answer["budgets"] = BUDGETS
    answer["is_within_budget"] = answer["requests_lost"] == 0 and all(
        answer[name] <= budget for name, budget in BUDGETS.items()
    )
    publish("line", answer)


if __name__ == "__main__":
    main()
