"""One tick: measure the demand of each release, ask the decider, record and apply."""

import statistics
from dataclasses import dataclass, field, replace
from datetime import timedelta

from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.loop.look import sight, views
from prometheus_ai.control.loop.passes import act_on
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.demand import DemandSample, ScalingDecision, ScalingFacts, ScalingState
from prometheus_ai.domain.errors import PlatformError
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.policy import ScalingSpec
from prometheus_ai.domain.release import ReleasePhase
from prometheus_ai.domain.window import CounterSnapshot, ReleaseCounters, Window
from prometheus_ai.reconcile import BackendView, ReleaseView
from prometheus_ai.scaling import begin_scaling, target
from prometheus_ai.telemetry import windows_between

ACTOR = "autoscaler"
START_SPAN = timedelta(days=1)
START_UNKNOWN_S = 5.0

_Key = tuple[str, str]


@dataclass(kw_only=True)
class Autoscaler:
    """Scales every release that has a policy. What it remembers is lost with it, and then it never shrinks at first."""

    plane: Plane
    previous: CounterSnapshot | None = None
    memory: dict[_Key, ScalingState] = field(default_factory=dict)
    in_flight: dict[_Key, int] = field(default_factory=dict)
    """Requests inside or waiting, at the sample before."""

    def tick(self) -> None:
        """Measure and scale once; a gateway that cannot be reached gives no sample, and nothing shrinks."""
        with self.plane.store.read() as reading:
            policies = {
                (release.backend, release.version): release.spec.scaling
                for release in reading.releases()
                if release.spec.scaling is not None
            }
        if not policies:
            return
        now, windows = self._measure()
        for name in sorted({backend for backend, _ in policies}):
            self._backend(name, policies, now, windows)

    def _measure(self) -> tuple[CounterSnapshot | None, dict[_Key, Window]]:
        try:
            now = self.plane.metrics.read()
        except PlatformError:
            return None, {}
        before, self.previous = self.previous or now, now
        found = windows_between(before, now)
        return now, {(window.backend, window.version): window for window in found}

    def _backend(
        self,
        name: str,
        policies: dict[_Key, ScalingSpec],
        snapshot: CounterSnapshot | None,
        windows: dict[_Key, Window],
    ) -> None:
        counters = {(c.backend, c.version): c for c in snapshot.releases} if snapshot else {}
        changed = False
        with self.plane.lock:
            at = self.plane.clock.now()
            with self.plane.store.read() as reading:
                found = views(self.plane, reading, sight(self.plane), at, name)
            for release in found[0][0].releases if found else ():
                key = (name, release.version)
                policy = policies.get(key)
                if policy is None or release.state.phase is not ReleasePhase.READY:
                    self.memory.pop(key, None)
                    continue
                view = found[0][0]
                mine = counters.get(key)
                sample = _sample(mine, windows.get(key), policy, snapshot, self.in_flight.get(key))
                if mine is not None:
                    self.in_flight[key] = mine.active + mine.pending
                facts = _facts(view, release, sample)
                state = self.memory.get(key) or begin_scaling(at, facts.replicas)
                made = target(state, facts, policy, at)
                self.memory[key] = made.state
                if made.replicas != facts.replicas:
                    self._apply(key, release, made)
                    changed = True
        if changed:
            act_on(self.plane, name)

    def _apply(self, key: _Key, release: ReleaseView, made: ScalingDecision) -> None:
        with self.plane.store.write() as tx:
            tx.put_release_state(replace(release.state, replicas_wanted=made.replicas))
            note(
                self.plane,
                tx,
                Kind.RELEASE_SCALED,
                Change(
                    actor=ACTOR,
                    reason=made.reason,
                    about=key,
                    before={"replicas": release.state.replicas_wanted},
                    after={
                        "replicas": made.replicas,
                        "parts": dict(made.parts),
                        "load_stable": round(made.load_stable, 3),
                        "load_panic": round(made.load_panic, 3),
                        "is_panicking": made.is_panicking,
                    },
                ),
            )


def _sample(
    counters: ReleaseCounters | None,
    window: Window | None,
    policy: ScalingSpec,
    snapshot: CounterSnapshot | None,
    in_flight: int | None,
) -> DemandSample | None:
    if snapshot is None:
        return None
    if counters is None:
        return DemandSample(at=snapshot.at, active=0, pending=0, arrivals_per_s=0.0)
    latency_ms = None
    if window is not None and policy.latency is not None:
        value_s = window.latency_s.quantile(policy.latency.percentile / 100)
        latency_ms = None if value_s is None else value_s * 1000
    return DemandSample(
        at=snapshot.at,
        active=counters.active,
        pending=counters.pending,
        arrivals_per_s=_arrivals_per_s(counters, window, in_flight),
        latency_ms=latency_ms,
        latency_count=window.latency_s.count if window is not None else 0,
    )


def _arrivals_per_s(
    counters: ReleaseCounters, window: Window | None, in_flight: int | None
) -> float | None:
    """Return what came since the sample before: answers, and the change of what is in flight."""
    if window is None or in_flight is None:
        return None
    span_s = (window.end - window.start).total_seconds()
    if span_s <= 0:
        return None
    came = window.requests + counters.active + counters.pending - in_flight
    return max(0.0, came / span_s)


def _facts(view: BackendView, release: ReleaseView, sample: DemandSample | None) -> ScalingFacts:
    starts = [
        (record.ready_at - record.created_at).total_seconds()
        for record in (*release.records, *release.ended)
        if record.ready_at is not None
    ]
    wanted = release.state.replicas_wanted
    return ScalingFacts(
        sample=sample,
        replicas=wanted,
        ready=view.ready_count(release),
        start_s=statistics.median(starts) if starts else START_UNKNOWN_S,
        # A rollout under way counts on what it planned with: nothing shrinks below it.
        floor=wanted if release.version in view.needed else 0,
    )
