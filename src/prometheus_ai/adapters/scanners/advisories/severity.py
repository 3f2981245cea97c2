"""Severity of an OSV record: computed from its vectors, or as its publisher says."""

import re
from collections.abc import Mapping
from math import ceil
from typing import Any

from prometheus_ai.domain.gate import Severity

_WORDS = {
    "none": Severity.NONE, "low": Severity.LOW, "negligible": Severity.LOW,
    "unimportant": Severity.LOW, "moderate": Severity.MEDIUM, "medium": Severity.MEDIUM,
    "important": Severity.HIGH, "high": Severity.HIGH, "critical": Severity.CRITICAL,
}  # fmt: skip
_AV = {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2}
_AC = {"L": 0.77, "H": 0.44}
_PR = {"N": (0.85, 0.85), "L": (0.62, 0.68), "H": (0.27, 0.5)}
_UI = {"N": 0.85, "R": 0.62}
_IMPACT = {"H": 0.56, "L": 0.22, "N": 0.0}
_V2 = {
    "AV": {"L": 0.395, "A": 0.646, "N": 1.0}, "AC": {"H": 0.35, "M": 0.61, "L": 0.71},
    "Au": {"M": 0.45, "S": 0.56, "N": 0.704}, "C": {"N": 0.0, "P": 0.275, "C": 0.66},
    "I": {"N": 0.0, "P": 0.275, "C": 0.66}, "A": {"N": 0.0, "P": 0.275, "C": 0.66},
}  # fmt: skip
_RANK = list(Severity)


def severity_of(record: Mapping[str, Any]) -> tuple[Severity, float | None]:
    """Return class and score; unrated when the record says nothing that can be read."""
    scores = [_score(one) for one in record.get("severity") or ()]
    for affected in record.get("affected") or ():
        scores += [_score(one) for one in affected.get("severity") or ()]
    known = [score for score in scores if score is not None]
    if known:
        best = max(known)
        return class_of(best), best
    said = [record.get("database_specific") or {}]
    for affected in record.get("affected") or ():
        said += [affected.get("ecosystem_specific") or {}, affected.get("database_specific") or {}]
    words = [str(one.get(key, "")).lower() for one in said for key in ("severity", "urgency")]
    classes = [_WORDS[word] for word in words if word in _WORDS]
    return max(classes, key=_RANK.index, default=Severity.UNRATED), None


def class_of(score: float) -> Severity:
    """Return the class of a score by CVSS's own scale."""
    for bound, found in ((9, Severity.CRITICAL), (7, Severity.HIGH), (4, Severity.MEDIUM)):
        if score >= bound:
            return found
    return Severity.LOW if score > 0 else Severity.NONE


def _score(one: Mapping[str, Any]) -> float | None:
    text = str(one.get("score", ""))
    try:
        metrics = dict(part.split(":", 1) for part in text.split("/") if ":" in part)
        if text.startswith("CVSS:3"):
            return base_score(metrics)
        if one.get("type") == "CVSS_V2" or "Au" in metrics:
            return _base_score_2(metrics)
        return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None
    except (KeyError, ValueError):
        return None


def base_score(m: Mapping[str, str]) -> float:
    """Return the CVSS 3.1 base score of a vector's metrics."""
    changed = m["S"] == "C"
    loss = 1 - (1 - _IMPACT[m["C"]]) * (1 - _IMPACT[m["I"]]) * (1 - _IMPACT[m["A"]])
    impact = 7.52 * (loss - 0.029) - 3.25 * (loss - 0.02) ** 15 if changed else 6.42 * loss
    if impact <= 0:
        return 0.0
    ease = 8.22 * _AV[m["AV"]] * _AC[m["AC"]] * _PR[m["PR"]][changed] * _UI[m["UI"]]
    return _round_up(min((impact + ease) * (1.08 if changed else 1), 10))


def _round_up(value: float) -> float:
    """Round up to one digit as CVSS 3.1 defines it, safe from binary fractions."""
    whole = round(value * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (ceil(whole / 10_000)) / 10


def _base_score_2(m: Mapping[str, str]) -> float:
    impact = 10.41 * (1 - (1 - _V2["C"][m["C"]]) * (1 - _V2["I"][m["I"]]) * (1 - _V2["A"][m["A"]]))
    ease = 20 * _V2["AV"][m["AV"]] * _V2["AC"][m["AC"]] * _V2["Au"][m["Au"]]
    return round((0.6 * impact + 0.4 * ease - 1.5) * (1.176 if impact else 0), 1)
