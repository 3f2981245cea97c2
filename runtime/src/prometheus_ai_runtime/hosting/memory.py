"""Room for models: who leaves when another one comes, and memory given back for real."""

import ctypes
import gc
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar


class Tenant(Protocol):
    """A model as far as room is concerned."""

    memory_bytes: int
    last_used: float
    state: str

    @property
    def pinned(self) -> bool:
        """Whether it is never evicted."""


T = TypeVar("T", bound=Tenant)


@dataclass(frozen=True, slots=True)
class Room:
    """The memory that all models may take together."""

    bytes_max: int | None

    @property
    def bounded(self) -> bool:
        """Whether there is a bound at all."""
        return self.bytes_max is not None

    def evictable(self, model: Tenant) -> bool:
        """Whether a model may be asked to leave."""
        return model.state == "ready" and not model.pinned

    def victims(self, needed: int, others: Iterable[T]) -> list[T] | None:
        """Models to evict, least recently used first, so that ``needed`` bytes fit.

        Models load one at a time where room is bounded, so only those that are ready take any.

        None when they cannot fit even so.
        """
        if self.bytes_max is None:
            return []
        present = [m for m in others if m.state == "ready"]
        excess = sum(m.memory_bytes for m in present) + needed - self.bytes_max
        chosen: list[T] = []
        for model in sorted(filter(self.evictable, present), key=lambda m: m.last_used):
            if excess <= 0:
                break
            chosen.append(model)
            excess -= model.memory_bytes
        return chosen if excess <= 0 else None


def resident_bytes(pid: int | str = "self") -> int:
    """A process's resident memory; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0


def give_back_memory() -> None:
    """Collect garbage and return free heap pages to the kernel, where the C library can."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
