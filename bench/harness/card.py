"""The machine's card, and the result file."""

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"


def machine_card() -> dict[str, Any]:
    """Say what the figures were taken on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "prometheus_ai": version("prometheus-ai"),
        "load_before": round(os.getloadavg()[0], 2),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def publish(question: str, answer: dict[str, Any]) -> None:
    """Print the answer and keep it in ``bench/results/QUESTION.json``."""
    text = json.dumps({"question": question, **answer, "machine": machine_card()}, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{question}.json").write_text(f"{text}\n")
    print(text)
