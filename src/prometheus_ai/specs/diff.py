"""What a new spec changes, field by field."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_ai.domain.spec import Spec


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One field that differs; None where it was or will be absent."""

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.field}: {_shown(self.after)}"
        if self.after is None:
            return f"- {self.field}: {_shown(self.before)}"
        return f"~ {self.field}: {_shown(self.before)} -> {_shown(self.after)}"


def diff(
    old: Spec | None,
    new: Spec,
    *,
    old_inputs: Mapping[str, str] | None = None,
    new_inputs: Mapping[str, str] | None = None,
) -> tuple[Change, ...]:
    """Return the fields that differ, in the order of the spec, then the inputs by name.

    ``inputs`` are digests of what the spec points to, such as ``{"model": "sha256:…"}``.
    A version left out in ``new`` means the next one, so it is no change.
    """
    before = dict(_flat(old.model_dump(mode="json"))) if old else {}
    after = dict(_flat(new.model_dump(mode="json")))
    if new.version is None:
        before.pop("version", None)
    for name, digest in (old_inputs or {}).items():
        before[f"inputs.{name}"] = digest
    for name, digest in (new_inputs or {}).items():
        after[f"inputs.{name}"] = digest
    names = dict.fromkeys([*after, *before])
    return tuple(
        Change(field=name, before=before.get(name), after=after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    if isinstance(value, str) and value.startswith("sha256:"):
        return value[:19] + "…"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
