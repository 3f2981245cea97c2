"""Counting answers by label; scores fall into bins whose edges are learned once for each backend."""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_ai.control.answers.remembering import attempt
from prometheus_ai.control.plane import Hearing, Plane
from prometheus_ai.domain.answers import Answer, Label

SETTING = "output_bins:"
LEARN_FROM = 200
"""Scores from which the edges of bins are learned: the tenths of what one release answers."""
LABELS_MAX = 63
OTHER = "(other)"


@dataclass(kw_only=True)
class Bins:
    """Names the bin of every label. Owned by one loop; edges are stored, so that a restart changes nothing."""

    edges: dict[str, tuple[float, ...]] = field(default_factory=dict)
    known: dict[str, set[str]] = field(default_factory=dict)

    def count(
        self, plane: Plane, hearing: Hearing, backend: str, version: str, answers: Iterable[Answer]
    ) -> Mapping[bool, Counter[str]]:
        """Return how often each bin was answered, shadows (True) apart from the rest (False)."""
        found: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
        for answer in answers:
            for label in answer.labels or ():
                name = self._name(plane, hearing, backend, version, label)
                if name is not None:
                    found[answer.is_shadow][name] += 1
        return found

    def _name(
        self, plane: Plane, hearing: Hearing, backend: str, version: str, label: Label
    ) -> str | None:
        if isinstance(label, float):
            edges = self._edges(plane, hearing, backend, version)
            return None if edges is None else _bin(label, edges)
        text = str(label)
        known = self.known.setdefault(backend, set())
        if text not in known and len(known) >= LABELS_MAX:
            return OTHER
        known.add(text)
        return text

    def _edges(
        self, plane: Plane, hearing: Hearing, backend: str, version: str
    ) -> tuple[float, ...] | None:
        edges = self.edges.get(backend)
        if edges is not None:
            return edges
        with plane.store.read() as reading:
            text = reading.setting(f"{SETTING}{backend}")
        if text:
            edges = tuple(json.loads(text))
        else:
            found = attempt(
                hearing, "reading", lambda: hearing.log.scores(backend, version, 5 * LEARN_FROM), ()
            )
            scores = sorted(found)
            if len(scores) < LEARN_FROM:
                return None
            tenths = [scores[len(scores) * tenth // 10] for tenth in range(1, 10)]
            edges = tuple(sorted(set(tenths)))
            with plane.store.write() as tx:
                tx.put_setting(f"{SETTING}{backend}", json.dumps(edges))
        self.edges[backend] = edges
        return edges


def _bin(score: float, edges: tuple[float, ...]) -> str:
    place = bisect_left(edges, score)
    low = "" if place == 0 else f"{edges[place - 1]:.6g}"
    high = "" if place == len(edges) else f"{edges[place]:.6g}"
    return f"({low}, {high}]"
