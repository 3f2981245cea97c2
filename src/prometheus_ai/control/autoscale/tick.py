"""One tick: measure the demand of each release, ask the decider, record and apply."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from prometheus_ai.control.autoscale.asked import Asking
from prometheus_ai.control.autoscale.sample import Place, Seen, UsageMeter, sample_of
from prometheus_ai.control.decisions import Made, ScalingInputs, is_news, remember
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.loop.look import sight, views
from prometheus_ai.control.loop.passes import act_on
from prometheus_ai.control.loop.starts import fresh_start, remember_starts, starts_of
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollout_memory import exchanging
from prometheus_ai.domain.cold_start import ColdStart, typical_s
from prometheus_ai.domain.demand import DemandSample, ScalingDecision, ScalingFacts, ScalingState
from prometheus_ai.domain.errors import PlatformError
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.policy import ScalingSpec
from prometheus_ai.domain.release import Release, ReleasePhase
from prometheus_ai.domain.route import HeldReport
from prometheus_ai.domain.window import CounterSnapshot, ReleaseCounters, Window
from prometheus_ai.ports.state_store import Writing
from prometheus_ai.reconcile import BackendView, ReleaseView, versions_of
from prometheus_ai.scaling import begin_scaling, target
from prometheus_ai.telemetry import windows_between

ACTOR = "autoscaler"
HELD_WAIT_S = 5.0
"""Longest single wait for the gateway's word that requests are held."""
HELD_HEARD_S = 30.0
"""Nothing is put to sleep when the gateway has not said for so long that it would hold requests."""
AGAIN_S = 1.0

_Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What the gateway counted; nothing while it cannot be reached."""

    snapshot: CounterSnapshot | None = None
    counters: Mapping[_Key, ReleaseCounters] = field(default_factory=dict)
    windows: Mapping[_Key, Window] = field(default_factory=dict)
    """Since the reading before."""


@dataclass(kw_only=True)
class Autoscaler:
    """Scales every release that has a policy. What it remembers is lost with it, and then it never shrinks at first.

    Two threads use it: one ticks, one waits for the gateway's word that requests wait for a sleeping release.
    What both touch is guarded by the plane's lock.
    """

    plane: Plane
    previous: CounterSnapshot | None = None
    memory: dict[_Key, ScalingState] = field(default_factory=dict)
    in_flight: dict[_Key, int] = field(default_factory=dict)
    """Requests inside or waiting, at the sample before."""
    heard: int = -1
    """Number of the gateway's last report of held requests."""
    heard_at_s: float | None = None
    """Monotonic time of that report; None while the gateway cannot be reached."""
    can_sleep: bool = False
    """Whether any release may sleep: else nobody asks what is held."""
    asking: Asking = field(init=False)
    """What another loop asks for over the network."""
    _usage: UsageMeter = field(init=False)
    _news: list[Made] = field(default_factory=list)
    """Decisions of this tick that change nothing and are to be stored."""

    def __post_init__(self) -> None:
        """Begin without readings."""
        self._usage = UsageMeter(plane=self.plane)
        self.asking = Asking(plane=self.plane)

    def tick(self) -> None:
        """Measure and scale once; a gateway that cannot be reached gives no sample, and nothing shrinks."""
        with self.plane.store.read() as reading:
            scaled = {
                (release.backend, release.version): release
                for release in reading.releases()
                if release.spec.scaling is not None
            }
        self.can_sleep = any(_policy(release).min == 0 for release in scaled.values())
        if not scaled:
            return
        for name in self._backends(scaled, self._measure()):
            act_on(self.plane, name)

    def await_requests(self) -> float:
        """Wait for requests that are held, and wake what they wait for; return how long to pause."""
        activator = self.plane.activator
        if activator is None or not self.can_sleep:
            return AGAIN_S
        try:
            report = activator.held(self.heard, HELD_WAIT_S)
        except PlatformError:
            self.heard_at_s = None
            return AGAIN_S
        self.heard, self.heard_at_s = report.number, self.plane.clock.monotonic()
        self.wake(report)
        return 0.0

    def wake(self, report: HeldReport) -> None:
        """Want a replica of every sleeping release that requests wait for; further ones follow from demand."""
        for held in report.releases:
            key = (held.backend, held.version)
            with self.plane.lock, self.plane.store.write() as tx:
                states = {state.version: state for state in tx.release_states(held.backend)}
                state = states.get(held.version)
                if state is None or state.phase is not ReleasePhase.READY or state.replicas_wanted:
                    continue
                tx.put_release_state(replace(state, replicas_wanted=1))
                # Its idle time begins anew; what was remembered says that it may sleep.
                self.memory.pop(key, None)
                reason = (
                    f"{held.requests} requests wait for it"
                    if held.requests > 1
                    else "a request waits for it"
                )
                _note_scaled(self.plane, tx, key, reason, (0, {"replicas": 1}))
            act_on(self.plane, held.backend)

    def _measure(self) -> _Measured:
        try:
            now = self.plane.metrics.read()
        except PlatformError:
            return _Measured()
        before, self.previous = self.previous or now, now
        found = windows_between(before, now)
        return _Measured(
            snapshot=now,
            counters={(counted.backend, counted.version): counted for counted in now.releases},
            windows={(window.backend, window.version): window for window in found},
        )

    def _backends(self, scaled: dict[_Key, Release], measured: _Measured) -> list[str]:
        """Decide about every backend from one look at all; return those whose counts changed."""
        names = {backend for backend, _ in scaled}
        with self.plane.lock:
            at = self.plane.clock.now()
            with self.plane.store.read() as reading:
                found = views(self.plane, reading, sight(self.plane), at)
            looks = [view for view, _ in found if view.backend.name in names]
            changed = [
                view.backend.name for view in looks if self._backend(view, scaled, measured, at)
            ]
            self._keep_news(at)
        return changed

    def _keep_news(self, at: datetime) -> None:
        """Store the decisions that change nothing in one change: there may be a thousand."""
        news, self._news = self._news, []
        if news:
            with self.plane.store.write() as tx:
                for decision in news:
                    remember(self.plane, tx, decision, at)

    def _backend(
        self,
        view: BackendView,
        scaled: dict[_Key, Release],
        measured: _Measured,
        at: datetime,
    ) -> bool:
        """Decide about one backend; return whether any of its counts changed."""
        name = view.backend.name
        exchanged = exchanging(self.plane.rollouts, name)
        changed = False
        for release in view.releases:
            key = (name, release.version)
            mine = scaled.get(key)
            # While a rollout exchanges replicas in place, both counts are its own.
            is_ours = release.version not in exchanged
            if mine is None or release.state.phase is not ReleasePhase.READY or not is_ours:
                self.memory.pop(key, None)
                continue
            seen = Seen(
                counters=measured.counters.get(key),
                window=measured.windows.get(key),
                in_flight=self.in_flight.get(key),
            )
            if seen.counters is not None:
                self.in_flight[key] = seen.counters.active + seen.counters.pending
            sampled = sample_of(measured.snapshot, seen, _policy(mine))
            sample = self._sampled(view, release, mine, sampled)
            self._remember_starts(key, view, release)
            facts = self._facts(view, release, sample)
            changed = self._decide(mine, release, facts, at) or changed
        return changed

    def _sampled(
        self, view: BackendView, release: ReleaseView, mine: Release, sample: DemandSample | None
    ) -> DemandSample | None:
        """Add to the gateway's sample what the replicas say."""
        if sample is None:
            return None
        ready = [record.id for record in release.records if view.is_routable(record)]
        place = Place(target=mine.spec.target, resources=mine.spec.resources)
        policy = _policy(mine)
        key = (mine.backend, mine.version)
        own = self.asking.own(key, self.plane.clock.now(), policy.stale_s)
        return replace(self._usage.add_to(sample, ready, policy, place), metrics=own)

    def _decide(
        self, mine: Release, release: ReleaseView, facts: ScalingFacts, at: datetime
    ) -> bool:
        key, policy = (mine.backend, mine.version), _policy(mine)
        state = self.memory.get(key) or begin_scaling(at, facts.replicas)
        made = target(state, facts, policy, at)
        self.memory[key] = made.state
        changes = made.replicas != facts.replicas
        decision = Made(
            backend=mine.backend, version=mine.version, act="scale" if changes else "hold",
            reason=made.reason, answer=made, is_hold=not changes,
            inputs=ScalingInputs(state=state, facts=facts, policy=policy, now=at),
        )  # fmt: skip
        if changes:
            with self.plane.store.write() as tx:
                remember(self.plane, tx, decision, at)
                _apply(self.plane, tx, release, made)
        elif is_news(self.plane, decision, at):
            self._news.append(decision)
        return changes

    def _facts(
        self, view: BackendView, release: ReleaseView, sample: DemandSample | None
    ) -> ScalingFacts:
        wanted = release.state.replicas_wanted
        starts = self._starts((view.backend.name, release.version))
        # Traffic is about to move to it: a sleeping release could never become ready for that.
        is_coming = release.version in (
            versions_of(view.backend.wanted) - versions_of(view.backend.in_force)
        )
        # A rollout under way counts on what it planned with: nothing shrinks below it.
        held, per_s = self.asking.speeds.get((view.backend.name, release.version), (None, None))
        is_needed = is_coming or release.version in view.needed
        return ScalingFacts(
            sample=sample,
            replicas=wanted,
            ready=view.ready_count(release),
            start_s=typical_s(starts),
            concurrency=held,
            rate_per_replica=per_s,
            floor=max(1, wanted) if is_needed else 0,
            activator_ready=self._holds(),
        )

    def _holds(self) -> bool:
        """Whether the gateway said lately that it would hold requests."""
        heard = self.heard_at_s
        return heard is not None and self.plane.clock.monotonic() - heard < HELD_HEARD_S

    def _starts(self, key: _Key) -> tuple[ColdStart, ...]:
        """Return the remembered starts of a release; the store is asked once."""
        known = self.plane.starts.get(key)
        if known is not None:
            return known
        with self.plane.store.read() as reading:
            return starts_of(self.plane, reading, key)

    def _remember_starts(self, key: _Key, view: BackendView, release: ReleaseView) -> None:
        """Keep the starts of replicas that became ready since the last tick."""
        known = {start.replica for start in self._starts(key)}
        found = (
            fresh_start(record, view.observed.get(record.id))
            for record in release.records
            if record.id not in known
        )
        fresh = tuple(start for start in found if start is not None)
        if fresh:
            with self.plane.store.write() as tx:
                remember_starts(self.plane, tx, key, fresh)


def _policy(release: Release) -> ScalingSpec:
    policy = release.spec.scaling
    assert policy is not None, "only releases with a policy are scaled"
    return policy


def _apply(plane: Plane, tx: Writing, release: ReleaseView, made: ScalingDecision) -> None:
    before = release.state.replicas_wanted
    tx.put_release_state(replace(release.state, replicas_wanted=made.replicas))
    after = {
        "replicas": made.replicas,
        "parts": dict(made.parts),
        "load_stable": round(made.load_stable, 3),
        "load_panic": round(made.load_panic, 3),
        "is_panicking": made.is_panicking,
    }
    key = (release.state.backend, release.version)
    _note_scaled(plane, tx, key, made.reason, (before, after))


def _note_scaled(
    plane: Plane, tx: Writing, key: _Key, reason: str, change: tuple[int, dict[str, Any]]
) -> None:
    note(
        plane,
        tx,
        Kind.RELEASE_SCALED,
        Change(
            actor=ACTOR,
            reason=reason,
            about=key,
            before={"replicas": change[0]},
            after=change[1],
        ),
    )
