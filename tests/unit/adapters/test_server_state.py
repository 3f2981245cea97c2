"""The phase of a replica follows from what its server says, or does not say."""

import json
from typing import Any

import pytest

from prometheus_ai.adapters.server_state import (
    Health,
    from_answer,
    from_silence,
    start_failure,
)
from prometheus_ai.domain.replica import ReplicaPhase as Phase

OK: dict[str, Any] = {"phase": "ready", "live": True, "ready": True, "requests_active": 2}
LOADING = {**OK, "phase": "loading", "ready": False}


@pytest.mark.parametrize(
    ("before", "state", "after"),
    [
        (Phase.STARTING, LOADING, Phase.STARTING),
        (Phase.STARTING, OK, Phase.READY),
        (Phase.READY, OK, Phase.READY),
        (Phase.READY, LOADING, Phase.UNREADY),
        (Phase.UNREADY, OK, Phase.READY),
        (Phase.READY, {**OK, "live": False}, Phase.STUCK),
        (Phase.STARTING, {**LOADING, "live": False}, Phase.STUCK),
        (Phase.STUCK, OK, Phase.READY),
        (Phase.READY, {**OK, "phase": "draining", "ready": False}, Phase.DRAINING),
        (Phase.DRAINING, OK, Phase.DRAINING),
        (Phase.READY, {}, Phase.STUCK),
    ],
)
def test_an_answer_decides(before: Phase, state: dict[str, Any], after: Phase) -> None:
    assert from_answer(Health(phase=before), state).phase is after


def test_an_answer_carries_requests_and_words() -> None:
    health = from_answer(Health(), {**LOADING, "requests_active": 3})
    assert (health.requests_active, health.detail) == (3, "loading")
    stuck = from_answer(Health(), {"live": False, "progress_age_s": 41.2})
    assert "41 s" in stuck.detail


@pytest.mark.parametrize(
    ("before", "silent_s", "after"),
    [
        (Phase.READY, 1.0, Phase.READY),
        (Phase.READY, 3.5, Phase.UNREADY),
        (Phase.UNREADY, 9.0, Phase.UNREADY),
        (Phase.UNREADY, 10.0, Phase.STUCK),
        (Phase.STARTING, 3600.0, Phase.STARTING),
        (Phase.DRAINING, 3600.0, Phase.DRAINING),
        (Phase.STUCK, 3600.0, Phase.STUCK),
    ],
)
def test_silence_is_judged_by_its_length(before: Phase, silent_s: float, after: Phase) -> None:
    assert from_silence(Health(phase=before), silent_s, 10.0, "refused").phase is after


def test_a_short_progress_bound_still_passes_through_unready() -> None:
    assert from_silence(Health(phase=Phase.READY), 2.0, 1.0, "refused").phase is Phase.READY


def test_a_failed_start_names_the_users_file_and_not_where_it_is_kept() -> None:
    kept = f"/kept/pai/artefacts/views/{'ab' * 32}/forest.joblib"
    said = {"event": "start_failed", "error": f"{kept} holds a dict"}
    assert start_failure([json.dumps(said)]) == "forest.joblib holds a dict"
