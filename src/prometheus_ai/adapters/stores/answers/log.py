"""The answer log as tables of one SQLite file."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from prometheus_ai.adapters.stores.answers.file import AnswersFile
from prometheus_ai.domain.answers import Answer, Feedback, Judged, KeptRequest, Matched, grade
from prometheus_ai.domain.errors import Unavailable

ANSWERS_MAX = 50_000
"""Of each backend; the oldest go."""
WAITING_MAX = 10_000
"""Feedback of one backend that waits for its answers."""
HOUR_S = 3600
_IDS_AT_ONCE = 500

_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
  backend TEXT NOT NULL, number INTEGER NOT NULL, request_id TEXT NOT NULL, version TEXT NOT NULL,
  is_shadow INTEGER NOT NULL, labels TEXT, at INTEGER NOT NULL,
  PRIMARY KEY (backend, request_id, version)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_number ON answers (backend, number);
CREATE TABLE IF NOT EXISTS feedback (
  backend TEXT NOT NULL, request_id TEXT NOT NULL, said TEXT NOT NULL, at INTEGER NOT NULL,
  is_settled INTEGER NOT NULL, PRIMARY KEY (backend, request_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS feedback_waiting ON feedback (backend, is_settled);
CREATE TABLE IF NOT EXISTS judged (
  backend TEXT NOT NULL, version TEXT NOT NULL, hour INTEGER NOT NULL,
  labelled INTEGER NOT NULL, wrong INTEGER NOT NULL,
  PRIMARY KEY (backend, version, hour)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outputs (
  backend TEXT NOT NULL, version TEXT NOT NULL, hour INTEGER NOT NULL, label TEXT NOT NULL,
  count INTEGER NOT NULL, PRIMARY KEY (backend, version, hour, label)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (
  backend TEXT NOT NULL, number INTEGER NOT NULL, path TEXT NOT NULL, content_type TEXT NOT NULL,
  json_bytes INTEGER, until INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (backend, number));
CREATE TABLE IF NOT EXISTS numbered (backend TEXT PRIMARY KEY, newest INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(kw_only=True)
class _Tally:
    """What one call has settled so far."""

    by_version: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    numbers: Counter[str] = field(default_factory=Counter)

    def matched(self) -> Matched:
        settled = tuple(
            Judged(version=version, labelled=labelled, wrong=wrong)
            for version, (labelled, wrong) in sorted(self.by_version.items())
        )
        return Matched(settled=settled, **self.numbers)


class SqliteAnswerLog:
    """Keeps the promises of ``AnswerLog``."""

    def __init__(self, file: AnswersFile) -> None:
        self._file = file

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or make the file; where that fails, every use tries again, and says so."""
        file = AnswersFile(path, _TABLES)
        with suppress(Unavailable):
            file.prepare()
        return cls(file)

    def add(self, backend: str, answers: Sequence[Answer], now: datetime) -> Matched:
        """Keep answers, and settle the feedback that waited for them."""
        tally = _Tally()
        with self._file.change() as change:
            row = change.execute(
                "SELECT COALESCE(MAX(number), 0) FROM answers WHERE backend = ?", (backend,)
            ).fetchone()
            newest = int(row[0])
            fresh = []
            for answer in answers:
                newest += 1
                labels = None if answer.labels is None else json.dumps(answer.labels)
                done = change.execute(
                    "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (backend, newest, answer.request_id, answer.version,
                     answer.is_shadow, labels, _second(now)),
                )  # fmt: skip
                if done.rowcount:
                    fresh.append(answer)
            by_id = defaultdict(list)
            for answer in fresh:
                by_id[answer.request_id].append(answer)
            for said in _feedback_on(change, backend, list(by_id)):
                _settle(change, backend, said, by_id[said.request_id], now, tally)
            change.execute(
                "DELETE FROM answers WHERE backend = ? AND number <= ?",
                (backend, newest - ANSWERS_MAX),
            )
        return tally.matched()

    def judge(self, backend: str, feedback: Sequence[Feedback], now: datetime) -> Matched:
        """Compare feedback with the answers it is about; keep what is about answers not known yet."""
        tally = _Tally()
        with self._file.change() as change:
            row = change.execute(
                "SELECT COUNT(*) FROM feedback WHERE backend = ? AND is_settled = 0", (backend,)
            ).fetchone()
            room = WAITING_MAX - int(row[0])
            ids = list({said.request_id for said in feedback})
            known = {said.request_id for said in _feedback_on(change, backend, ids)}
            answers = _answers_of(change, backend, ids)
            for said in feedback:
                about = answers.get(said.request_id, [])
                if said.request_id in known:
                    tally.numbers["repeated"] += 1
                    continue
                if not about and room <= 0:
                    tally.numbers["refused"] += 1
                    continue
                known.add(said.request_id)
                change.execute(
                    "INSERT INTO feedback VALUES (?, ?, ?, ?, 0)",
                    (backend, said.request_id, _as_text(said), _second(now)),
                )
                if about:
                    _settle(change, backend, said, about, now, tally)
                else:
                    room -= 1
                    tally.numbers["waiting"] += 1
        return tally.matched()

    def accuracy(self, backend: str, since: datetime | None = None) -> tuple[Judged, ...]:
        """Return labelled and wrong answers of each release, by version."""
        with self._file.change() as view:
            rows = view.execute(
                "SELECT version, SUM(labelled), SUM(wrong) FROM judged"
                " WHERE backend = ? AND hour >= ? GROUP BY version ORDER BY version",
                (backend, 0 if since is None else _hour(since)),
            ).fetchall()
        return tuple(Judged(version=v, labelled=int(n), wrong=int(w)) for v, n, w in rows)

    def count(self, backend: str, version: str, outputs: Mapping[str, int], now: datetime) -> None:
        """Count answers by label in the hour of ``now``."""
        with self._file.change() as change:
            change.executemany(
                "INSERT INTO outputs VALUES (?, ?, ?, ?, ?) ON CONFLICT"
                " DO UPDATE SET count = count + excluded.count",
                [(backend, version, _hour(now), label, n) for label, n in outputs.items()],
            )

    def outputs(
        self, backend: str, version: str, since: datetime, until: datetime
    ) -> Mapping[datetime, Mapping[str, int]]:
        """Return counts of answers by label, for each hour that begins in the span."""
        with self._file.change() as view:
            rows = view.execute(
                "SELECT hour, label, count FROM outputs"
                " WHERE backend = ? AND version = ? AND hour >= ? AND hour < ?",
                (backend, version, _hour(since), _second(until)),
            ).fetchall()
        found: dict[datetime, dict[str, int]] = {}
        for hour, label, count in rows:
            found.setdefault(datetime.fromtimestamp(hour, UTC), {})[label] = int(count)
        return found

    def scores(self, backend: str, version: str, limit: int) -> tuple[float, ...]:
        """Return the newest numeric labels of a release, for binning."""
        with self._file.change() as view:
            rows = view.execute(
                "SELECT labels FROM answers WHERE backend = ? AND version = ?"
                " AND labels IS NOT NULL ORDER BY number DESC LIMIT ?",
                (backend, version, limit),
            ).fetchall()
        values = [value for (text,) in rows for value in json.loads(text)]
        return tuple(
            float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)
        )[:limit]

    def keep(
        self,
        backend: str,
        requests: Sequence[KeptRequest],
        now: datetime,
        *,
        kept_max: int,
        kept_for: timedelta,
    ) -> None:
        """Keep requests to be sent again."""
        with self._file.change() as change:
            newest, until = _newest(change, backend, now), _second(now + kept_for)
            for request in requests:
                newest += 1
                change.execute(
                    "INSERT INTO kept VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (backend, newest, request.path, request.content_type,
                     request.json_bytes, until, request.body),
                )  # fmt: skip
            change.execute(
                "DELETE FROM kept WHERE backend = ? AND number <= ?", (backend, newest - kept_max)
            )
            change.execute("INSERT OR REPLACE INTO numbered VALUES (?, ?)", (backend, newest))

    def kept(self, backend: str, after: int, limit: int, now: datetime) -> tuple[KeptRequest, ...]:
        """Return kept requests with a number above ``after``, oldest first."""
        with self._file.change() as view:
            rows = view.execute(
                "SELECT path, content_type, body, json_bytes, number FROM kept"
                " WHERE backend = ? AND number > ? AND until > ? ORDER BY number LIMIT ?",
                (backend, after, _second(now), limit),
            ).fetchall()
        return tuple(
            KeptRequest(path=path, content_type=kind, body=body, json_bytes=size, number=number)
            for path, kind, body, size, number in rows
        )

    def kept_count(self, backend: str, after: int, now: datetime) -> int:
        """Return how many requests are kept with a number above ``after``."""
        with self._file.change() as view:
            row = view.execute(
                "SELECT COUNT(*) FROM kept WHERE backend = ? AND number > ? AND until > ?",
                (backend, after, _second(now)),
            ).fetchone()
        return int(row[0])

    def drop_kept(self, now: datetime, of: Collection[str]) -> int:
        """Remove kept requests whose time is over, and those of other backends."""
        with self._file.change() as change:
            gone = change.execute("DELETE FROM kept WHERE until <= ?", (_second(now),)).rowcount
            known = change.execute("SELECT backend FROM kept UNION SELECT backend FROM numbered")
            for backend in {row[0] for row in known.fetchall()}.difference(of):
                gone += change.execute("DELETE FROM kept WHERE backend = ?", (backend,)).rowcount
                change.execute("DELETE FROM numbered WHERE backend = ?", (backend,))
        return gone

    def forget(self, before: datetime) -> int:
        """Remove all that is older; return how many rows went."""
        at, hour = _second(before), _hour(before)
        with self._file.change() as change:
            gone = change.execute("DELETE FROM answers WHERE at < ?", (at,)).rowcount
            gone += change.execute("DELETE FROM feedback WHERE at < ?", (at,)).rowcount
            gone += change.execute("DELETE FROM judged WHERE hour < ?", (hour,)).rowcount
            gone += change.execute("DELETE FROM outputs WHERE hour < ?", (hour,)).rowcount
        return gone

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def _newest(view: sqlite3.Connection, backend: str, now: datetime) -> int:
    """Return the number of the newest request that was ever kept: a number never comes again.

    Rollouts remember how far they are. So the first number is a time, which goes on even where the file is lost.
    """
    row = view.execute("SELECT newest FROM numbered WHERE backend = ?", (backend,)).fetchone()
    if row is not None:
        return int(row[0])
    row = view.execute("SELECT MAX(number) FROM kept WHERE backend = ?", (backend,)).fetchone()
    return _second(now) * 1_000_000 if row[0] is None else int(row[0])


def _feedback_on(view: sqlite3.Connection, backend: str, ids: list[str]) -> Iterator[Feedback]:
    for rows in _by_ids(view, "request_id, said FROM feedback", backend, ids):
        for request_id, said in rows:
            yield _from_text(request_id, said)


def _answers_of(
    view: sqlite3.Connection, backend: str, ids: list[str]
) -> Mapping[str, list[Answer]]:
    found = defaultdict(list)
    what = "request_id, version, is_shadow, labels FROM answers"
    for rows in _by_ids(view, what, backend, ids):
        for request_id, version, is_shadow, labels in rows:
            found[request_id].append(
                Answer(
                    request_id=request_id,
                    version=version,
                    is_shadow=bool(is_shadow),
                    labels=None if labels is None else tuple(json.loads(labels)),
                )
            )
    return found


def _by_ids(
    view: sqlite3.Connection, what: str, backend: str, ids: list[str]
) -> Iterator[list[Any]]:
    for start in range(0, len(ids), _IDS_AT_ONCE):
        some = ids[start : start + _IDS_AT_ONCE]
        marks = ", ".join("?" * len(some))
        yield view.execute(
            f"SELECT {what} WHERE backend = ? AND request_id IN ({marks})",
            (backend, *some),
        ).fetchall()


def _settle(
    change: sqlite3.Connection,
    backend: str,
    said: Feedback,
    about: Sequence[Answer],
    now: datetime,
    tally: _Tally,
) -> None:
    change.execute(
        "UPDATE feedback SET is_settled = 1 WHERE backend = ? AND request_id = ?",
        (backend, said.request_id),
    )
    for answer in about:
        graded = grade(answer, said)
        if graded is None:
            # A shadow has no score by nature; anything else ought to have had a label.
            tally.numbers["unusable"] += not (answer.is_shadow and said.score is not None)
            continue
        counted = tally.by_version[answer.version]
        counted[0] += graded[0]
        counted[1] += graded[1]
        change.execute(
            "INSERT INTO judged VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " labelled = labelled + excluded.labelled, wrong = wrong + excluded.wrong",
            (backend, answer.version, _hour(now), *graded),
        )


def _as_text(said: Feedback) -> str:
    return json.dumps({"label": said.label, "score": said.score})


def _from_text(request_id: str, text: str) -> Feedback:
    found = json.loads(text)
    label = found["label"]
    return Feedback(
        request_id=request_id,
        label=None if label is None else tuple(label),
        score=found["score"],
    )


def _second(at: datetime) -> int:
    return int(at.timestamp())


def _hour(at: datetime) -> int:
    return _second(at) // HOUR_S * HOUR_S
