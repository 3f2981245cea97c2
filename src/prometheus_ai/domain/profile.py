"""What a model server learned of its model's cost."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelProfile:
    """The measured service-time curve of one replica."""

    curve: tuple[tuple[int, float], ...]
    """Rows in a batch and the engine's mean seconds for it, growing in both; empty before the first batch."""
    batches: int
    """How many batches it rests on."""
    memory_bytes: int = 0
    """What the loaded model takes; 0 when that is not known."""
