"""Waiting for a release, with a line for every step."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_ai.client.uploads import Say
from prometheus_ai.domain.errors import Conflict, NotReady

POLL_S = 0.1
POLL_S_MAX = 1.0

Look = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """What a deploy waits for."""

    backend: str
    version: str
    is_new: bool = True
    """Whether lines that are there at the first look belong to this deploy."""


def wait_until_served(look: Look, goal: Goal, say: Say, timeout_s: float) -> None:
    """Wait until a release is ready and the wanted weights are in force.

    Raises:
        Conflict: the release failed; carries its failure.
        NotReady: the time is over; the deploy itself goes on.
    """
    until = time.monotonic() + timeout_s
    said: tuple[str, ...] | None = () if goal.is_new else None
    step = ""
    for pause_s in _pauses():
        detail = look()
        release = next((one for one in detail["releases"] if one["version"] == goal.version), None)
        lines = tuple(detail.get("progress", ()))
        for line in _new(lines if said is None else said, lines):
            say(line)
        said = lines
        now = _step(release, detail["summary"])
        if now != step:
            say(f"{goal.backend}/{goal.version}: {now}")
            step = now
        if release is not None and release["phase"] == "failed":
            raise Conflict(
                f"{goal.backend}/{goal.version} failed: {release['failure']}",
                hint=f"`pai logs {goal.backend}` and `pai why {goal.backend}` show more; "
                "traffic stays where it was",
            )
        if _is_served(release, detail["summary"]):
            return
        if time.monotonic() >= until:
            raise NotReady(
                f"{goal.backend}/{goal.version} is not served after {timeout_s:g} s: {now}",
                hint=f"it goes on without you; `pai why {goal.backend}` says what it waits for",
            )
        time.sleep(min(pause_s, max(0.0, until - time.monotonic())))


def _pauses() -> Iterator[float]:
    pause_s = POLL_S
    while True:
        yield pause_s
        pause_s = min(pause_s * 1.2, POLL_S_MAX)


def _new(said: tuple[str, ...], lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return the lines after those said before; the server keeps only the newest ones."""
    for start in range(len(said) + 1):
        kept = said[start:]
        if lines[: len(kept)] == kept:
            return lines[len(kept) :]
    return lines


def _step(release: Mapping[str, Any] | None, summary: Mapping[str, Any]) -> str:
    if release is None:
        return "recorded"
    phase = release["phase"]
    if phase == "preparing":
        return "making its environment"
    if phase == "starting":
        return (
            f"starting replicas ({release['replicas_ready']} of {release['replicas_wanted']} ready)"
        )
    if phase == "ready" and summary["weights"] != summary["weights_wanted"]:
        return "ready; shifting traffic"
    if phase == "ready":
        return f"ready with {release['weight']:g} % of traffic"
    return str(phase)


def _is_served(release: Mapping[str, Any] | None, summary: Mapping[str, Any]) -> bool:
    return (
        release is not None
        and release["phase"] == "ready"
        and summary["weights"] == summary["weights_wanted"]
    )
