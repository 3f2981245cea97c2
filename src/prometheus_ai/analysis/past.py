"""A release against its past: what it does now beside what was usual at the same hour of the week.

Other hours bring other requests, so this informs people and never judges a rollout by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_ai.analysis.exact import clopper_pearson
from prometheus_ai.analysis.outputs import FIRST_LOOK, distance
from prometheus_ai.analysis.slowness import regression
from prometheus_ai.domain.window import Histogram

REQUESTS_MIN = 500
ERRORS_RATIO_MIN = 1.5
ERRORS_NEGLIGIBLE = 0.005
_ALPHA = 0.001
"""Errors are compared by intervals of 99.9 %: an installation looks at many releases, many times a day."""
OUTPUTS_DISTANCE = 0.25
OUTPUTS_P = 1e-4


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """What was measured in some stretches of time."""

    requests: int = 0
    errors: int = 0
    latency_s: Histogram = field(default_factory=Histogram)
    outputs: Mapping[str, int] = field(default_factory=dict)

    @property
    def error_rate(self) -> float:
        """Errors per request; zero without requests."""
        return self.errors / self.requests if self.requests else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Worse:
    """One thing that got worse, clearly and by enough to matter."""

    what: str
    """``p95``, ``p99``, ``errors`` or ``outputs``."""
    now: str
    before: str


def worse_than(now: Past, before: Past) -> tuple[Worse, ...]:
    """Return what got worse; nothing where too few requests stand behind either side."""
    found = []
    for name, quantile in (("p95", 0.95), ("p99", 0.99)):
        slower = regression(now.latency_s, before.latency_s, quantile)
        if slower is not None and slower.is_regression:
            found.append(
                Worse(what=name, now=f"{slower.now_ms:.3g} ms", before=f"{slower.before_ms:.3g} ms")
            )
    if _fails_more(now, before):
        found.append(
            Worse(what="errors", now=f"{now.error_rate:.2%}", before=f"{before.error_rate:.2%}")
        )
    if min(sum(now.outputs.values()), sum(before.outputs.values())) >= FIRST_LOOK:
        far = distance(before.outputs, now.outputs)
        if far.stability_index >= OUTPUTS_DISTANCE and far.p_value < OUTPUTS_P:
            found.append(
                Worse(
                    what="outputs",
                    now=f"distance {far.stability_index:.2f}",
                    before=f"below {OUTPUTS_DISTANCE:g}",
                )
            )
    return tuple(found)


def _fails_more(now: Past, before: Past) -> bool:
    if min(now.requests, before.requests) < REQUESTS_MIN:
        return False
    if now.error_rate < max(ERRORS_NEGLIGIBLE, before.error_rate * ERRORS_RATIO_MIN):
        return False
    return (
        clopper_pearson(now.errors, now.requests, _ALPHA)[0]
        > clopper_pearson(before.errors, before.requests, _ALPHA)[1]
    )
