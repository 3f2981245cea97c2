"""The act about numbers: a burst is followed, an idle backend sleeps, and the next requests wake it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from demo.acts import Figures, wait_until
from demo.stage import Stage
from demo.traffic import Traffic

NAME = "reader"
SENDERS = 24
BURST_S = 8.0
AT_ONCE = 10
SOURCE = '''"""Reads for 40 ms, one request at a time."""

import time


class Reader:
    signature = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
    }

    def predict(self, x):
        time.sleep(0.04)
        return x
'''
SPEC = f"""\
name: {NAME}
model:
  path: reader.py
  engine: python
batching:
  rows_max: 1
resources: {{cpu: 0.25, memory: 256Mi}}
scaling: {{min: 0, max: 4, concurrency: 4, stable_s: 6, idle_s: 4}}
"""
BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}]}


@dataclass(kw_only=True)
class Burst:
    """Senders that ask as fast as they are answered, for a while."""

    url: str
    answered: int = 0
    failed: int = 0

    def send(self, seconds: float) -> None:
        """Send, and count what came of it."""
        lock, until = threading.Lock(), time.monotonic() + seconds

        def one(_number: int) -> None:
            with httpx.Client(timeout=30) as client:
                while time.monotonic() < until:
                    is_answered = client.post(self.url, json=BODY).status_code == 200
                    with lock:
                        self.answered += is_answered
                        self.failed += not is_answered

        with ThreadPoolExecutor(SENDERS) as pool:
            list(pool.map(one, range(SENDERS)))


def burst_sleep_and_wake(stage: Stage, _traffic: Traffic, figures: Figures) -> None:
    """Replicas follow a burst; without traffic the backend sleeps; requests that come then wait and wake it."""
    stage.say(
        f"{NAME}: another backend, asked by {SENDERS} at once; then nobody asks, and then {AT_ONCE} do"
    )
    (stage.folder / "reader.py").write_text(SOURCE)
    (stage.folder / "reader.yaml").write_text(SPEC)
    stage.pai("deploy", "reader.yaml", "--wait")
    burst = Burst(url=stage.ask("status", NAME)["summary"]["url"])
    burst.send(BURST_S)
    found = stage.ask("status", NAME)["summary"]
    figures.burst = (
        f"{burst.answered} requests answered, {burst.failed} failed; 1 replica became"
        f" {found['replicas_wanted']}"
    )
    stage.quietly(figures.burst)
    stage.pai("why", NAME)
    started = time.monotonic()
    wait_until(lambda: _is_asleep(stage))
    slept_s = time.monotonic() - started
    stage.pai("status")
    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = [pool.submit(httpx.post, burst.url, json=BODY, timeout=30) for _ in range(AT_ONCE)]
        statuses = [one.result().status_code for one in asked]
    woke_s = time.monotonic() - started
    answered = sum(status == 200 for status in statuses)
    figures.failed_beside = burst.failed + AT_ONCE - answered
    figures.woken = (
        f"asleep {slept_s:.0f} s after the burst; {answered} of {AT_ONCE} requests were held,"
        f" woke it and were answered within {woke_s:.1f} s"
    )
    stage.quietly(figures.woken)
    stage.pai("why", NAME)


def _is_asleep(stage: Stage) -> bool:
    found = stage.ask("status", NAME)
    return found["summary"]["state"] == "asleep" and not found["replicas"]
