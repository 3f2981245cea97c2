"""The acts: each shows one thing the platform does by itself, under traffic that never stops."""

import time
from dataclasses import dataclass
from typing import Any

from demo.stage import Stage, kill_for, wait_until_back
from demo.traffic import Traffic

SETTLED_S = 3.0
KNOWN_S = 11.0
"""Until the platform has measured enough traffic to plan with."""
ABSENCE_S = 5.0
POLL_S = 0.25
VERDICT_TIMEOUT_S = 90.0


@dataclass(kw_only=True)
class Figures:
    """What the demonstration measured."""

    promoted_s: float = 0.0
    """From the deploy of v2 to all traffic and a finished bake."""
    promoted_because: str = ""
    judged_bad_s: float = 0.0
    """From v3's first share of traffic to its rollback."""
    judged_bad_because: str = ""
    flip_ms: float = 0.0
    """The rollback as the platform rehearsed it."""
    back_s: float = 0.0
    answered_while_dead: int = 0
    adopted: int = 0
    burst: str = ""
    woken: str = ""
    failed_beside: int = 0
    """Requests to the backend of the burst that were not answered."""
    replayed: str = ""
    audit: str = ""


def promoted_by_verdict(stage: Stage, _traffic: Traffic, figures: Figures) -> None:
    """A better release takes over step by step, because the evidence says that it does no harm."""
    stage.say("v2: a better model; evidence moves it on, step by step")
    started = time.monotonic()
    stage.pai("plan", "v2.yaml")
    stage.pai("deploy", "v2.yaml")
    wait_for_traffic(stage, "v2")
    stage.pai("watch", "digits", "--once")
    event = wait_for_event(stage, "v2", "rollout:ended")
    figures.promoted_s = time.monotonic() - started
    figures.promoted_because = because(stage, "v2")
    figures.flip_ms = stage.events("rollout:rehearsed", "v2")[-1]["after"]["took_ms"]
    stage.quietly(f"{event['reason']}: v2 has all traffic after {figures.promoted_s:.0f} s")
    stage.pai("why", "digits")


def rolled_back_by_verdict(stage: Stage, _traffic: Traffic, figures: Figures) -> None:
    """A bad release is taken back, because the evidence says that it does harm."""
    stage.say("v3: a bad release, wrong and slow; nobody watches")
    stage.pai("deploy", "v3.yaml")
    wait_for_traffic(stage, "v3")
    started = time.monotonic()
    event = wait_for_event(stage, "v3", "rollout:rolled_back")
    figures.judged_bad_s = time.monotonic() - started
    figures.judged_bad_because = event["reason"].split("; ")[0]
    stage.quietly(f"rolled back {figures.judged_bad_s:.1f} s after its first request")
    stage.pai("why", "digits")
    stage.pai("decisions", "digits", "--limit", "6")
    replayed = stage.pai("decisions", "replay", "digits")
    figures.replayed = replayed.strip().splitlines()[-1]


def control_plane_dies(stage: Stage, traffic: Traffic, figures: Figures) -> None:
    """Traffic goes on without the control plane, which adopts what runs when it is back."""
    stage.say(f"The control plane is killed with SIGKILL and stays dead for {ABSENCE_S:g} s")
    died_at = time.monotonic()
    pid = kill_for(stage, ABSENCE_S)
    figures.answered_while_dead = len(traffic.since(died_at))
    figures.back_s = wait_until_back(stage)
    figures.adopted = len(stage.events("replica:adopted"))
    stage.quietly(
        f"process {pid} died; {figures.answered_while_dead} requests were answered meanwhile;"
        f" it is back, and adopted {figures.adopted} running replicas"
    )
    time.sleep(SETTLED_S)


def log_is_intact(stage: Stage, _traffic: Traffic, figures: Figures) -> None:
    """Everything that happened is in the audit log, and nothing in it was changed."""
    figures.audit = stage.pai("audit", "verify").strip().splitlines()[0]


def wait_for_traffic(stage: Stage, version: str) -> None:
    """Wait until a release has its first share of traffic."""
    wait_until(lambda: stage.ask("status", "digits")["summary"]["weights"].get(version, 0) > 0)


def wait_for_event(stage: Stage, version: str, kind: str) -> dict[str, Any]:
    """Wait until a rollout is over; return the event of that.

    Raises:
        RuntimeError: it ended otherwise than it should.
    """
    ends = ("rollout:ended", "rollout:rolled_back")
    wait_until(lambda: any(stage.events(end, version) for end in ends))
    found = stage.events(kind, version)
    if not found:
        raise RuntimeError(
            f"{version} went the other way:\n{stage.pai('why', 'digits', quiet=True)}"
        )
    return found[-1]


def because(stage: Stage, version: str) -> str:
    """Return the evidence on which a release went on to its last step."""
    stepped = stage.events("rollout:stepped", version)
    passed = [event for event in stepped if event["after"]["act"] == "advance"]
    return str(passed[-1]["reason"]).split("; ")[0]


def wait_until(is_so: Any) -> None:
    """Ask until it is so.

    Raises:
        RuntimeError: it was not so in time.
    """
    until = time.monotonic() + VERDICT_TIMEOUT_S
    while not is_so():
        if time.monotonic() > until:
            raise RuntimeError(f"what was waited for did not come within {VERDICT_TIMEOUT_S:g} s")
        time.sleep(POLL_S)
