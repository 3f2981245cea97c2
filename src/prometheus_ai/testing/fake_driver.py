"""A driver whose replicas live in memory and behave as a test says."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from prometheus_ai.domain.errors import PlatformError
from prometheus_ai.domain.release import Release
from prometheus_ai.domain.replica import (
    Endpoint,
    Exit,
    ExitCause,
    Observed,
    ReplicaPhase,
    ReplicaUsage,
)
from prometheus_ai.domain.spec import Spec
from prometheus_ai.ports.clock import Clock
from prometheus_ai.ports.driver import Capabilities, LogLine, Progress, ReplicaOrder

FIRST_PORT = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Behaviour:
    """What each replica of a release does once started; times count from its start."""

    ready_after_s: float | None = 0.0
    """None: it never becomes ready."""
    stuck_after_s: float | None = None
    exit_after_s: float | None = None
    exit_cause: ExitCause = ExitCause.CRASH
    exit_code: int | None = 1
    exit_message: str = "scripted exit"
    drain_takes_s: float = 0.0
    """How long it needs to stop when asked; beyond its grace it is killed."""


@dataclass
class FakeTarget:
    """The machine that outlives a driver: give one to a second ``FakeDriver`` to test adoption."""

    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    """By release id (``backend/version``) or by replica id, which wins."""
    replicas: dict[str, Observed] = field(default_factory=dict)
    prepared: dict[str, int] = field(default_factory=dict)
    """Lock digest to the bytes of its environment."""
    log_lines: dict[str, list[LogLine]] = field(default_factory=dict)
    drain_takes_s: dict[str, float] = field(default_factory=dict)
    due: list[tuple[float, int, str, Observed]] = field(default_factory=list)
    order: Iterator[int] = field(default_factory=itertools.count)
    snapshot: tuple[Observed, ...] | None = None
    """What ``observe`` returns until something changes: it is called for thousands of replicas."""
    lock: threading.RLock = field(default_factory=threading.RLock)


class FakeDriver:
    """Runs scripted replicas. ``failures`` maps a method's name to the error that it raises.

    ``calls`` lists every start, stop and forget as ``("start", id)``, for tests that count effects.
    """

    def __init__(
        self,
        clock: Clock,
        target: FakeTarget | None = None,
        *,
        capabilities: Capabilities | None = None,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.target = target or FakeTarget()
        self.failures: dict[str, PlatformError] = {}
        self.unsupported: tuple[str, ...] = ()
        self.calls: list[tuple[str, str]] = []
        self.cores = 0.1
        """Cores that every replica has used since its start."""
        self.memory_bytes = 2**26
        self._clock = clock
        self._capabilities = capabilities or Capabilities(
            cpu_limit=True, memory_limit=True, cpus_total=1024, memory_bytes_total=2**40
        )
        self.on_change = on_change or (lambda: None)

    def capabilities(self) -> Capabilities:
        """Return what it was made with."""
        return self._capabilities

    def unsupported_fields(self, spec: Spec) -> tuple[str, ...]:
        """Refuse GPUs that the capabilities lack, and whatever ``unsupported`` says."""
        if spec.resources.gpu > self._capabilities.gpus:
            return (
                *self.unsupported,
                f"resources.gpu: target {spec.target!r} has none; use gpu: 0",
            )
        return self.unsupported

    def prepare(self, release: Release, lock_path: Path, progress: Progress) -> None:
        """Note the environment as prepared."""
        self._maybe_fail("prepare")
        progress(f"environment of {release.id} is ready")
        with self.target.lock:
            self.target.prepared[release.inputs.lock.digest] = 1000

    def start(self, order: ReplicaOrder) -> None:
        """Start a scripted replica."""
        self._maybe_fail("start")
        with self.target.lock:
            if order.id in self.target.replicas:
                return
            self.calls.append(("start", order.id))
            number = next(self.target.order)
            starting = Observed(
                id=order.id,
                backend=order.release.backend,
                version=order.release.version,
                phase=ReplicaPhase.STARTING,
                pid=1000 + number,
                started_at=self._clock.now(),
                detail="loading",
            )
            self._set(starting)
            self.target.log_lines[order.id] = []
            self._script(starting, order.release.id, FIRST_PORT + number)
        self.log(order.id, "started")
        self._changed()

    def observe(self) -> tuple[Observed, ...]:
        """Return every replica, after applying what the script says has happened by now."""
        self._maybe_fail("observe")
        with self.target.lock:
            self._apply_due()
            if self.target.snapshot is None:
                self.target.snapshot = tuple(self.target.replicas.values())
            return self.target.snapshot

    def usage(self, replica_ids: Sequence[str]) -> Mapping[str, ReplicaUsage]:
        """Return the CPU time that ``cores`` says has passed since each start, and ``memory_bytes``."""
        self._maybe_fail("usage")
        with self.target.lock:
            self._apply_due()
            known = [
                self.target.replicas[one] for one in replica_ids if one in self.target.replicas
            ]
        now = self._clock.now()
        return {
            seen.id: ReplicaUsage(
                at_s=self._clock.monotonic(),
                cpu_s=self.cores * (now - seen.started_at).total_seconds(),
                memory_bytes=self.memory_bytes,
            )
            for seen in known
            if seen.phase is not ReplicaPhase.EXITED
        }

    def stop(self, replica_id: str, grace_s: float) -> None:
        """Drain for as long as the script says, at most ``grace_s``."""
        self._maybe_fail("stop")
        with self.target.lock:
            self._apply_due()
            seen = self.target.replicas.get(replica_id)
            if seen is None or seen.phase in (ReplicaPhase.EXITED, ReplicaPhase.DRAINING):
                return
            self.calls.append(("stop", replica_id))
            draining = replace(seen, phase=ReplicaPhase.DRAINING, detail="draining")
            needs_s = self.target.drain_takes_s.get(replica_id, 0.0)
            if seen.phase is ReplicaPhase.STUCK:
                needs_s = float("inf")
            ended = self._exit(ExitCause.STOPPED, 0, None, "")
            if needs_s > grace_s:
                message = f"killed after {grace_s:g} s of drain"
                ended = self._exit(ExitCause.STOPPED, None, "SIGKILL", message)
            takes_s = min(needs_s, grace_s)
            ended = replace(ended, at=ended.at + timedelta(seconds=takes_s))
            self._forget_script(replica_id)
            self._set(draining)
            self._at(takes_s, replace(draining, phase=ReplicaPhase.EXITED, exit=ended))
        self._changed()

    def forget(self, replica_id: str) -> None:
        """Drop a replica that ended."""
        self._maybe_fail("forget")
        with self.target.lock:
            self._apply_due()
            seen = self.target.replicas.get(replica_id)
            if seen is not None and seen.phase is ReplicaPhase.EXITED:
                self.calls.append(("forget", replica_id))
                del self.target.replicas[replica_id]
                self.target.snapshot = None

    def logs(self, replica_id: str, tail: int, follow: bool) -> Iterator[LogLine]:
        """Yield lines; following ends when nothing new is there, since nothing happens by itself."""
        lines = self.target.log_lines.get(replica_id, [])
        start = max(0, len(lines) - tail)
        yield from lines[start:]

    def prunable(self, keep: frozenset[str]) -> tuple[str, ...]:
        """Return prepared lock digests outside ``keep``."""
        return tuple(sorted(set(self.target.prepared) - keep))

    def prune(self, names: tuple[str, ...]) -> int:
        """Drop prepared environments."""
        return sum(self.target.prepared.pop(name, 0) for name in names)

    def close(self) -> None:
        """Do nothing; the target goes on."""

    def log(self, replica_id: str, text: str, stream: str = "stdout") -> None:
        """Let a replica write a line."""
        at = self._clock.now().isoformat()
        line = LogLine(replica=replica_id, at=at, stream=stream, text=text)
        self.target.log_lines.setdefault(replica_id, []).append(line)

    def set_phase(self, replica_id: str, phase: ReplicaPhase, detail: str = "") -> None:
        """Put a replica in a phase now, as UNREADY, STUCK or READY again; its script goes on."""
        with self.target.lock:
            self._apply_due()
            self._set(replace(self.target.replicas[replica_id], phase=phase, detail=detail))
        self._changed()

    def set_requests_active(self, replica_id: str, requests: int | None) -> None:
        """Say how many requests are inside a replica."""
        with self.target.lock:
            self._set(replace(self.target.replicas[replica_id], requests_active=requests))

    def crash(
        self,
        replica_id: str,
        cause: ExitCause = ExitCause.CRASH,
        *,
        code: int | None = 1,
        signal: str | None = None,
        message: str = "scripted crash",
    ) -> None:
        """End a replica now."""
        with self.target.lock:
            self._apply_due()
            self._forget_script(replica_id)
            ended = self._exit(cause, code, signal, message)
            seen = self.target.replicas[replica_id]
            self._set(replace(seen, phase=ReplicaPhase.EXITED, exit=ended, detail=message))
        self._changed()

    def vanish(self, replica_id: str) -> None:
        """End a replica as a restarted machine does: it is LOST and left no record."""
        self.crash(replica_id, ExitCause.LOST, code=None, message="no record of its end")

    def _script(self, starting: Observed, release_id: str, port: int) -> None:
        behaviours = self.target.behaviours
        plan = behaviours.get(starting.id) or behaviours.get(release_id) or Behaviour()
        self.target.drain_takes_s[starting.id] = plan.drain_takes_s
        endpoint = Endpoint(host="127.0.0.1", port=port)
        ready = replace(
            starting,
            phase=ReplicaPhase.READY,
            endpoint=endpoint,
            requests_active=0,
            detail="ready",
            phases_s={"import": 0.0, "load": 0.0, "warm_up": 0.0},
        )
        if plan.ready_after_s is not None:
            self._at(plan.ready_after_s, ready)
        if plan.stuck_after_s is not None:
            stuck = replace(ready, phase=ReplicaPhase.STUCK, detail="makes no progress")
            self._at(plan.stuck_after_s, stuck)
        if plan.exit_after_s is not None:
            ended = self._exit(plan.exit_cause, plan.exit_code, None, plan.exit_message)
            ended = replace(ended, at=ended.at + timedelta(seconds=plan.exit_after_s))
            gone = replace(starting, phase=ReplicaPhase.EXITED, exit=ended, detail=ended.message)
            self._at(plan.exit_after_s, gone)

    def _at(self, delay_s: float, state: Observed) -> None:
        when = self._clock.monotonic() + delay_s
        heapq.heappush(self.target.due, (when, next(self.target.order), state.id, state))

    def _apply_due(self) -> None:
        now = self._clock.monotonic()
        while self.target.due and self.target.due[0][0] <= now:
            _, _, replica_id, state = heapq.heappop(self.target.due)
            if replica_id in self.target.replicas:
                self._set(state)

    def _forget_script(self, replica_id: str) -> None:
        self.target.due[:] = [entry for entry in self.target.due if entry[2] != replica_id]
        heapq.heapify(self.target.due)

    def _set(self, state: Observed) -> None:
        self.target.replicas[state.id] = state
        self.target.snapshot = None

    def _exit(self, cause: ExitCause, code: int | None, signal: str | None, message: str) -> Exit:
        return Exit(cause=cause, code=code, signal=signal, message=message, at=self._clock.now())

    def _maybe_fail(self, call: str) -> None:
        if call in self.failures:
            raise self.failures[call]

    def _changed(self) -> None:
        self.on_change()
