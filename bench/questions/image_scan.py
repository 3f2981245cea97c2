"""How long does it take to look into an image, and how much memory?

Packages, advisories, credentials and model files of one saved image (budget for 650 MB: 10 s and 300 MB),
and the comparison with advisories alone (budget: 50 ms).

    python -m bench.questions.image_scan IMAGE.tar ADVISORIES.zip
"""

import argparse
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.harness.card import publish
from prometheus_ai.adapters.scanners.advisories import SqliteAdvisories
from prometheus_ai.adapters.scanners.images import LayeredImageScanner
from prometheus_ai.adapters.scanners.model_files import ModelFileScanner

BUDGET_S, BUDGET_MB, MATCH_BUDGET_S = 10.0, 300.0, 0.05
MATCHES = 20


def main() -> None:
    """Answer the question for one image."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("advisories", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = SqliteAdvisories(Path(folder) / "advisories.db", now=lambda: datetime.now(UTC))
        database.import_archive(given.advisories)
        started, cpu_started = time.perf_counter(), time.process_time()
        found = LayeredImageScanner(ModelFileScanner().scan).scan(given.image)
        weaknesses = database.match(found.sbom.components)
        whole_s = time.perf_counter() - started
        cpu_s = time.process_time() - cpu_started
        matches = []
        for _ in range(MATCHES):
            started = time.perf_counter()
            database.match(found.sbom.components)
            matches.append(time.perf_counter() - started)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    match_s = sorted(matches)[MATCHES // 2]
    publish(
        "image_scan",
        {
            "image_mb": round(found.bytes_total / 1e6),
            "files": found.sbom.files,
            "packages": len(found.sbom.components),
            "weaknesses": len(weaknesses),
            "whole_s": round(whole_s, 2),
            "cpu_s": round(cpu_s, 2),
            "peak_mb": round(memory_mb),
            "match_ms": round(match_s * 1000, 1),
            "budgets": {"whole_s": BUDGET_S, "peak_mb": BUDGET_MB, "match_s": MATCH_BUDGET_S},
            "is_within": whole_s <= BUDGET_S
            and memory_mb <= BUDGET_MB
            and match_s <= MATCH_BUDGET_S,
        },
    )


if __name__ == "__main__":
    main()
