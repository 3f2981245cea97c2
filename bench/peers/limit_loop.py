"""The sentence encoder in a loop, without a server.

    PYTHON limit_loop.py [huge]

Runs in our server's environment. Each line of standard input holds a batch size and seconds: tokenises and
runs batches of texts in turn for so long, and prints rows a second. With ``huge`` the model lies on huge
pages first, as our server puts it.
"""

import sys
import time

from workload import BATCH_MAX, MiniLM, sentences

from prometheus_ai_runtime.hosting import huge_pages


def main(on_huge_pages: bool) -> None:
    """Answer every line; the end of the input ends the program."""
    model, texts = MiniLM(), sentences() * 2
    for batch in (1, BATCH_MAX):
        model.run(texts[:batch])
    if on_huge_pages:
        huge_pages.use()
    print("ready", flush=True)
    for line in sys.stdin:
        batch, seconds = int(line.split()[0]), float(line.split()[1])
        rows, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds:
            first = rows % (len(texts) // 2)
            model.run(texts[first : first + batch])
            rows += batch
        print(rows / spent, flush=True)


if __name__ == "__main__":
    main("huge" in sys.argv[1:])
