"""From the answers, the exit code and the last words of a model server to what its replica is; pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_ai.domain.replica import ExitCause, ReplicaPhase

CAUSES = {
    64: ExitCause.BAD_CONFIG,
    65: ExitCause.LOAD_FAILED,
    69: ExitCause.ENGINE_MISSING,
}
"""What the model server says by its exit code; see the wire page."""
_VIEW = re.compile(r"[^\s'\"(]*/views/[0-9a-f]{64}/")
"""Where the artefact store shows a model; people know the file by the name after it."""
SILENT_UNREADY_S = 3.0
"""A ready replica that has not answered for this long gets no new requests."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """What is known of a live replica."""

    phase: ReplicaPhase = ReplicaPhase.STARTING
    detail: str = "starting"
    requests_active: int | None = None
    phases_s: Mapping[str, float] = field(default_factory=dict)


def from_answer(before: Health, state: Mapping[str, Any]) -> Health:
    """Read ``/v2/health/state``."""
    said = str(state.get("phase", ""))
    requests = state.get("requests_active")
    if not state.get("live", False):
        phase, detail = ReplicaPhase.STUCK, _stuck_detail(state)
    elif before.phase is ReplicaPhase.DRAINING or said == "draining":
        phase, detail = ReplicaPhase.DRAINING, "draining"
    elif state.get("ready", False):
        phase, detail = ReplicaPhase.READY, "ready"
    elif before.phase is ReplicaPhase.STARTING:
        phase, detail = ReplicaPhase.STARTING, said
    else:
        phase, detail = ReplicaPhase.UNREADY, str(state.get("error") or said)
    return Health(
        phase=phase,
        detail=detail,
        requests_active=requests if isinstance(requests, int) else None,
        phases_s=_phases_s(state.get("phases_s")),
    )


def from_silence(before: Health, silent_s: float, progress_s: float, why: str) -> Health:
    """Judge a replica that does not answer.

    While starting, silence is judged by the startup bound alone: importing a large library
    can hold the interpreter for seconds.
    """
    if before.phase in (ReplicaPhase.STARTING, ReplicaPhase.DRAINING, ReplicaPhase.STUCK):
        return before
    detail = f"no answer for {silent_s:.0f} s: {why}"
    if silent_s >= max(progress_s, SILENT_UNREADY_S):
        return Health(phase=ReplicaPhase.STUCK, detail=detail)
    if silent_s >= SILENT_UNREADY_S:
        return Health(phase=ReplicaPhase.UNREADY, detail=detail)
    return before


def start_failure(last_log: Sequence[str]) -> str:
    """Return what the server itself said of a failed start, or nothing."""
    for line in reversed(last_log):
        if '"start_failed"' not in line:
            continue
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("event") == "start_failed":
            return _VIEW.sub("", str(said.get("error", "")))
    return ""


def _phases_s(said: object) -> Mapping[str, float]:
    if not isinstance(said, dict):
        return {}
    return {str(name): float(s) for name, s in said.items() if isinstance(s, int | float)}


def _stuck_detail(state: Mapping[str, Any]) -> str:
    age = state.get("progress_age_s")
    since = f" for {age:.0f} s" if isinstance(age, int | float) else ""
    return str(state.get("error") or f"the engine made no progress{since}")
