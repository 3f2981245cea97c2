"""Running releases, judged again when data, policy or time changed: they run on, and are flagged."""

from dataclasses import dataclass, field
from datetime import datetime

from prometheus_ai.control.gates.admit import ACTOR, judge
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.plane import Gate, Plane
from prometheus_ai.domain.errors import PlatformError
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.gate import GateReport, RuleOutcome
from prometheus_ai.domain.release import Release, ReleasePhase
from prometheus_ai.gates import policy_digest, read_policy
from prometheus_ai.gates.vulnerabilities import DATA_RULE as DATA
from prometheus_ai.gates.vulnerabilities import RULE as VULNERABILITIES

LIVING = frozenset({ReleasePhase.STARTING, ReleasePhase.READY})
_Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """Under which conditions a release was judged last."""

    conditions: str
    look_again_at: datetime | None


@dataclass(kw_only=True)
class Reviewer:
    """Judges every release that has replicas, as often as its answer may have changed."""

    plane: Plane
    _seen: dict[_Key, _Seen] = field(default_factory=dict)

    def tick(self) -> None:
        """Judge what has to be judged again; a release that the gate would not let start now is flagged."""
        gate = self.plane.gate
        if gate is None:
            return
        with self.plane.store.read() as reading:
            living = {
                (state.backend, state.version)
                for state in reading.release_states()
                if state.phase in LIVING
            }
            due = self._due(living, _conditions(gate))
            releases = [reading.release(*key) for key in due]
        for key in [one for one in self._seen if one not in living]:
            del self._seen[key]
        with gate.lock:
            for key in [one for one in gate.flags if one not in living]:
                del gate.flags[key]
        for release in releases:
            if release is not None:
                self._review(gate, release, due[release.backend, release.version])

    def _due(self, living: set[_Key], conditions: str) -> dict[_Key, str]:
        now = self.plane.clock.now()
        return {
            key: conditions
            for key in sorted(living)
            if (seen := self._seen.get(key)) is None
            or seen.conditions != conditions
            or (seen.look_again_at is not None and now >= seen.look_again_at)
        }

    def _review(self, gate: Gate, release: Release, conditions: str) -> None:
        look_again_at = None
        try:
            report = judge(self.plane, gate, release)
        except PlatformError as error:
            # What could not be looked at speaks against the release.
            flag = f"it could not be judged again: {error.message}"
        else:
            flag, look_again_at = _flag_of(report), report.look_again_at
        self._seen[release.backend, release.version] = _Seen(
            conditions=conditions, look_again_at=look_again_at
        )
        _keep_flag(self.plane, gate, release, flag)


def _conditions(gate: Gate) -> str:
    """Return what answers depend on besides time, in one text."""
    try:
        policy = policy_digest(read_policy(gate.policy(), "policy.yaml"))
    except PlatformError as error:
        policy = error.message
    try:
        data = gate.advisories.status().digest
    except PlatformError as error:
        data = error.message
    return f"{policy} {data} {gate.signatures_added}"


def _flag_of(report: GateReport) -> str:
    if report.refusals:
        return f"the gate would refuse it now: {report.refusals[0].message}"
    for one in report.results:
        # With a date the warning is about data that is too old, and from that date on it refuses.
        if one.rule == DATA and one.outcome is RuleOutcome.WARN and one.until is not None:
            return f"warning: {one.message}"
        # Evidence is empty where nothing was compared: that is no news about the release.
        if one.rule == VULNERABILITIES and one.outcome is RuleOutcome.WARN and one.evidence:
            return f"warning: {one.message}"
    return ""


def _keep_flag(plane: Plane, gate: Gate, release: Release, flag: str) -> None:
    """Show a flag, and record when it came, changed or went."""
    key = (release.backend, release.version)
    with gate.lock:
        if flag:
            gate.flags[key] = flag
        else:
            gate.flags.pop(key, None)
    name = f"gate-flag/{release.backend}/{release.version}"
    with plane.lock, plane.store.write() as tx:
        before = tx.setting(name) or ""
        if before == flag:
            return
        tx.put_setting(name, flag)
        note(
            plane,
            tx,
            Kind.GATE_FLAGGED if flag else Kind.GATE_CLEARED,
            Change(
                actor=ACTOR,
                reason=flag or "nothing speaks against it any more",
                about=key,
                before={"flag": before},
                after={"flag": flag},
            ),
        )
