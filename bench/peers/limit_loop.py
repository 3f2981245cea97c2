"""The sentence encoder in a loop, without a server.

    PYTHON limit_loop.py BATCH SECONDS

Runs in a server's environment. Tokenises and runs batches of texts in turn; prints rows a second.
"""

import sys
import time

from workload import MiniLM, sentences


def main(batch: int, seconds: float) -> None:
    """Run batches for a while, after half a second that does not count."""
    model, texts = MiniLM(), sentences() * 2
    for counted_s in (0.5, seconds):
        rows, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < counted_s:
            first = rows % (len(texts) // 2)
            model.run(texts[first : first + batch])
            rows += batch
    print(rows / spent)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
