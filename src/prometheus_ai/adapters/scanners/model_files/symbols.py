"""What a walk over a pickle knows about the values on the stack."""

from dataclasses import dataclass, field
from typing import Any

TEXT_LEN_MAX = 512
ITEMS_MAX = 64


@dataclass(frozen=True, slots=True)
class Name:
    """A callable that was looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True)
class Made:
    """What a call of an allowed callable returned."""

    by: Name
    arguments: Any
    state: Any = None


@dataclass(slots=True)
class Dict:
    """A dictionary; only its first entries are kept, for the frames of arrays."""

    items: dict[Any, Any] = field(default_factory=dict)


class _Unknown:
    def __repr__(self) -> str:
        return "a computed value"


class _Mark:
    pass


UNKNOWN = _Unknown()
"""A value whose content does not matter."""
MARK = _Mark()
"""The beginning of a run of items."""


def text(value: str) -> Any:
    """Keep a text that may be a name."""
    return value if len(value) <= TEXT_LEN_MAX else UNKNOWN


def items(values: list[Any]) -> Any:
    """Keep a short tuple."""
    return tuple(values) if len(values) <= ITEMS_MAX else UNKNOWN
