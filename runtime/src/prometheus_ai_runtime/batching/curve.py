"""Latency as a function of batch size, learned while serving."""

from typing import Any

_DECAY = 0.98
_TRUSTED_COUNT = 3
_SIZES_MAX = 512
_SAVING_EVERY = 64


class LatencyCurve:
    """Seconds of compute for a batch of n rows: measured sizes as they are, others from a line."""

    __slots__ = ("_learned", "_n", "_sx", "_sxx", "_sxy", "_sy", "saving_s", "sizes")

    def __init__(self) -> None:
        self.sizes: dict[int, tuple[float, int]] = {}
        """Rows → (decayed mean seconds, count)."""
        self._n = self._sx = self._sy = self._sxx = self._sxy = 0.0
        self._learned = 0
        self.saving_s = 0.0
        """What one call in place of two saves: the part of its cost that has nothing to do with rows."""

    def observe(self, rows: int, seconds: float) -> None:
        """Learn from one batch."""
        known = self.sizes.get(rows)
        if known is None:
            if len(self.sizes) >= _SIZES_MAX:
                return
            self.sizes[rows] = (seconds, 1)
        else:
            mean, count = known
            # The mean of the first few, then a moving one: quick to learn, slow to be fooled.
            weight = 1.0 / (count + 1) if count < 20 else 0.05
            self.sizes[rows] = (mean + weight * (seconds - mean), count + 1)
        self._learned += 1
        if known is None or self._learned % _SAVING_EVERY == 0:
            self.saving_s = self._saving()
        self._n = self._n * _DECAY + 1.0
        self._sx = self._sx * _DECAY + rows
        self._sy = self._sy * _DECAY + seconds
        self._sxx = self._sxx * _DECAY + rows * rows
        self._sxy = self._sxy * _DECAY + rows * seconds

    def line(self) -> tuple[float, float]:
        """The fitted fixed seconds and seconds a row; never negative."""
        if self._n == 0.0:
            return 0.0, 0.0
        spread = self._n * self._sxx - self._sx * self._sx
        if spread <= 1e-9 * self._sxx * self._n:
            # One size seen: all of it counted per row is the cautious reading for larger batches.
            return 0.0, self._sy / self._sx
        slope = max(0.0, (self._n * self._sxy - self._sx * self._sy) / spread)
        fixed = (self._sy - slope * self._sx) / self._n
        if fixed < 0.0:
            return 0.0, self._sy / self._sx
        return fixed, slope

    def _saving(self) -> float:
        """The intercept of a line through all sizes alike, however long ago each was seen.

        A queue that always fills the same batches teaches the decayed line nothing of other sizes.
        """
        n = len(self.sizes)
        mean_x = sum(self.sizes) / n
        mean_y = sum([mean for mean, _ in self.sizes.values()]) / n
        spread = sum([(x - mean_x) ** 2 for x in self.sizes])
        if not spread:
            return 0.0
        pairs = self.sizes.items()
        slope = sum([(x - mean_x) * (mean - mean_y) for x, (mean, _) in pairs]) / spread
        return max(0.0, mean_y - slope * mean_x)

    def predict(self, rows: int) -> float:
        """Expected seconds for a batch of this size; 0 when nothing is known."""
        known = self.sizes.get(rows)
        if known is not None and known[1] >= _TRUSTED_COUNT:
            return known[0]
        fixed, slope = self.line()
        return fixed + slope * rows

    def rows_within(self, seconds: float, rows_max: int) -> int:
        """The largest batch, at least 1 row, whose every smaller size is expected to fit too."""
        rows = 1
        while rows < rows_max and self.predict(rows + 1) <= seconds:
            rows += 1
        return rows

    def as_json(self) -> dict[str, Any]:
        """The learned curve for ``/v2/models/NAME/profile``."""
        fixed, slope = self.line()
        return {
            "fixed_us": round(fixed * 1e6, 3),
            "per_row_us": round(slope * 1e6, 3),
            "sizes": [
                {"rows": rows, "mean_us": round(mean * 1e6, 3), "batches": count}
                for rows, (mean, count) in sorted(self.sizes.items())
            ],
        }
