"""Steady traffic of held-out images, with every answer checked against its label."""

import itertools
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

SENDERS = 6
PAUSE_S = 0.03
TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One request as its sender saw it."""

    at: float
    """Monotonic time at which the answer was complete."""
    release: str
    """``digits/v1``; empty when there was no answer."""
    status: int
    is_correct: bool
    latency_ms: float
    error: str = ""


@dataclass(kw_only=True)
class Traffic:
    """Senders that never stop asking until told to."""

    url: str
    images: np.ndarray
    labels: np.ndarray
    answers: list[Answer] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Start sending."""
        for number in range(SENDERS):
            thread = threading.Thread(target=self._send, args=(number,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop sending, and wait for the last answers."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(TIMEOUT_S + 1)

    def since(self, moment: float) -> list[Answer]:
        """Return the answers that came after a moment."""
        with self._lock:
            return [answer for answer in self.answers if answer.at >= moment]

    def _send(self, number: int) -> None:
        with httpx.Client(timeout=TIMEOUT_S) as client:
            for turn in itertools.cycle(range(number, len(self.images), SENDERS)):
                if self._stopping.wait(PAUSE_S):
                    return
                answer = self._ask(client, turn)
                with self._lock:
                    self.answers.append(answer)

    def _ask(self, client: httpx.Client, turn: int) -> Answer:
        body = {
            "inputs": [
                {
                    "name": "input",
                    "datatype": "FP32",
                    "shape": [1, 64],
                    "data": self.images[turn].tolist(),
                }
            ]
        }
        started = time.perf_counter()
        try:
            reply = client.post(self.url, json=body)
        except httpx.HTTPError as error:
            return self._failed(0, started, repr(error))
        if reply.status_code != 200:
            return self._failed(reply.status_code, started, reply.text[:200])
        outputs = {output["name"]: output["data"] for output in reply.json()["outputs"]}
        return Answer(
            at=time.monotonic(),
            release=reply.headers["x-pai-release"],
            status=200,
            is_correct=outputs["label"][0] == self.labels[turn],
            latency_ms=(time.perf_counter() - started) * 1000,
        )

    def _failed(self, status: int, started: float, error: str) -> Answer:
        return Answer(
            at=time.monotonic(),
            release="",
            status=status,
            is_correct=False,
            latency_ms=(time.perf_counter() - started) * 1000,
            error=error,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What one release did."""

    release: str
    requests: int
    accuracy: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def tally(answers: list[Answer]) -> tuple[list[Tally], Counter[str]]:
    """Sum up answers by release, and count failures by their words."""
    by_release: dict[str, list[Answer]] = defaultdict(list)
    failures: Counter[str] = Counter()
    for answer in answers:
        if answer.status == 200:
            by_release[answer.release].append(answer)
        else:
            failures[f"{answer.status or 'no answer'}: {answer.error}"] += 1
    tallies = []
    for release, own in sorted(by_release.items()):
        p50, p95, p99 = np.percentile([answer.latency_ms for answer in own], [50, 95, 99])
        tallies.append(
            Tally(
                release=release,
                requests=len(own),
                accuracy=sum(answer.is_correct for answer in own) / len(own),
                p50_ms=float(p50),
                p95_ms=float(p95),
                p99_ms=float(p99),
            )
        )
    return tallies, failures


def load_held_out(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 64) FP32 and labels (n,) that no model was trained on."""
    with np.load(path) as stored:
        return stored["images"], stored["labels"]
