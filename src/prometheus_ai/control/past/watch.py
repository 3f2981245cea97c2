"""Watching: every busy release is compared with its past, and what got worse is recorded once."""

from dataclasses import dataclass, field

from pydantic import TypeAdapter

from prometheus_ai.analysis import worse_than
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.past.usual import last_hour, usual
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.release import Backend
from prometheus_ai.ports.state_store import Reading

ACTOR = "control-plane"
EVERY_S = 600.0
AT_ONCE = 5
"""Backends compared in one pass: a bound on what watching costs."""
SETTING = "regressions:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Regressed:
    """One thing that is worse than usual."""

    version: str
    what: str
    now: str
    before: str
    against: str
    since: str
    """RFC 3339 time at which it was found."""


_FOUND = TypeAdapter(tuple[Regressed, ...])


@dataclass(kw_only=True)
class PastWatch:
    """Compares releases with their past, a few at a time. Owned by one loop."""

    plane: Plane
    looked_at: dict[str, float] = field(default_factory=dict)

    def tick(self) -> None:
        """Look at the backends whose turn it is."""
        clock = self.plane.clock.monotonic()
        with self.plane.store.read() as reading:
            backends = reading.backends()
        for gone in self.looked_at.keys() - {backend.name for backend in backends}:
            del self.looked_at[gone]
        due = [
            backend
            for backend in backends
            if clock - self.looked_at.get(backend.name, -EVERY_S) >= EVERY_S
        ]
        due.sort(key=lambda backend: self.looked_at.get(backend.name, -EVERY_S))
        for backend in due[:AT_ONCE]:
            self.looked_at[backend.name] = clock
            self._compare(backend)

    def _compare(self, backend: Backend) -> None:
        now = self.plane.clock.now()
        found: list[Regressed] = []
        for version, _ in backend.in_force:
            hour = last_hour(self.plane, backend.name, version, now)
            if not hour.requests:
                continue
            others = (backend.stable, backend.previous)
            past = (version, *(other for other in others if other not in {None, version}))
            before = usual(self.plane, backend.name, tuple(v for v in past if v), now)
            if before is None:
                continue
            found += [
                Regressed(
                    version=version,
                    what=worse.what,
                    now=worse.now,
                    before=worse.before,
                    against=before.in_words,
                    since=now.isoformat(),
                )
                for worse in worse_than(hour, before.past)
            ]
        self._record(backend.name, found)

    def _record(self, name: str, found: list[Regressed]) -> None:
        with self.plane.lock, self.plane.store.write() as tx:
            if tx.backend(name) is None:
                return
            known = {(each.version, each.what): each for each in regressions(tx, name)}
            for each in found:
                if (each.version, each.what) in known:
                    continue
                note(
                    self.plane,
                    tx,
                    Kind.RELEASE_REGRESSED,
                    Change(
                        actor=ACTOR,
                        reason=f"{each.what} is {each.now}, usual is {each.before} ({each.against})",
                        about=(name, each.version),
                        before={each.what: each.before},
                        after={each.what: each.now},
                    ),
                )
            kept = tuple(known.get((each.version, each.what), each) for each in found)
            if kept or known:
                tx.put_setting(f"{SETTING}{name}", _FOUND.dump_json(kept).decode())


def regressions(reading: Reading, name: str) -> tuple[Regressed, ...]:
    """Return what is worse than usual about a backend's releases now."""
    text = reading.setting(f"{SETTING}{name}")
    return _FOUND.validate_json(text) if text else ()
