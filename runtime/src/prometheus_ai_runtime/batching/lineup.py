"""Who is next: waiting work ordered by priority, fair over tenants, then by arrival. Pure; takes ``now``."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_ai_runtime.batching.work import Work
from prometheus_ai_runtime.tensors.plan import ShapeKey

_DEAD_MAX = 256
_SHARES_MAX = 1024

LaneKey = tuple[int, str, ShapeKey]


@dataclass(slots=True)
class Bounds:
    """How far one batch may grow."""

    rows: int
    cost: int | None = None


class Lineup:
    """Waiting work of one model, in lanes of equal priority, tenant and row shape."""

    __slots__ = (
        "_dead",
        "_key",
        "_lane",
        "_lanes",
        "_level",
        "_served",
        "rows",
        "rows_by_tenant",
    )

    def __init__(self) -> None:
        self._lanes: dict[LaneKey, deque[Work]] = {}
        self._key: LaneKey = (-1, "", ())
        self._lane: deque[Work] = deque()
        """The lane pushed to last, and its key; an empty lane is no longer among the lanes."""
        self._served: dict[str, float] = {}
        self._level = 0.0
        """Rows served, as the fair share counts them, to the tenant whose turn it was last."""
        self._dead = 0
        self.rows = 0
        """Rows waiting, without those given up."""
        self.rows_by_tenant: dict[str, int] = {}

    def push(self, work: Work) -> None:
        """Add work at the end of its lane."""
        known, lane = self._key, self._lane
        if (
            lane
            and work.shape_key is known[2]
            and work.priority == known[0]
            and work.tenant == known[1]
        ):
            lane.append(work)
        else:
            self._push(work)
        self.rows += work.rows
        if work.tenant:
            waiting = self.rows_by_tenant
            waiting[work.tenant] = waiting.get(work.tenant, 0) + work.rows

    def _push(self, work: Work) -> None:
        key = (work.priority, work.tenant, work.shape_key)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = deque()
            # A tenant that was away starts level with those present, not with a credit.
            self._served[work.tenant] = max(self._served.get(work.tenant, 0.0), self._level)
        lane.append(work)
        self._key, self._lane = key, lane

    def discard(self, work: Work) -> None:
        """Forget waiting work that was settled elsewhere (cancelled, past its deadline)."""
        self._count_out(work)
        self._dead += 1
        if self._dead > _DEAD_MAX and self._dead * work.rows > self.rows:
            self._sweep()

    def __iter__(self) -> Iterator[Work]:
        """All waiting work, in no particular order."""
        return (w for lane in self._lanes.values() for w in lane if not w.settled)

    def oldest(self) -> float:
        """When the longest-waiting work arrived; only meaningful while there are rows."""
        return min(w.arrived for lane in self._lanes.values() for w in lane if not w.settled)

    def take(self, now: float, bounds: Bounds) -> tuple[list[Work], list[Work]]:
        """The next batch, and work whose deadline has passed and that must not be started.

        All work of a batch has one row shape; the first always fits.
        """
        batch: list[Work] = []
        late: list[Work] = []
        if len(self._lanes) == 1:
            key, lane = next(iter(self._lanes.items()))
            self._fill(batch, late, lane, now, bounds)
            if not lane:
                del self._lanes[key]
            return batch, late
        while self._lanes:
            chosen = self._next_lane(batch)
            if chosen is None:
                break
            lane = self._lanes[chosen]
            # One at a time across lanes, so that tenants share a batch evenly.
            grown = self._fill(batch, late, lane, now, bounds, only_one=True)
            if not lane:
                del self._lanes[chosen]
            if not grown and batch:
                break
        return batch, late

    def foresee(self, now: float, bounds: Bounds) -> list[Work]:
        """What ``take`` would give if nothing changed; empty where several lanes compete."""
        if len(self._lanes) != 1:
            return []
        (lane,) = self._lanes.values()
        batch: list[Work] = []
        rows = longest = 0
        for work in lane:
            if work.settled or work.deadline <= now:
                continue
            rows += work.rows
            longest = max(longest, work.cost)
            too_costly = bounds.cost is not None and longest * rows > bounds.cost
            if batch and (rows > bounds.rows or too_costly):
                break
            batch.append(work)
        return batch

    def _fill(
        self,
        batch: list[Work],
        late: list[Work],
        lane: deque[Work],
        now: float,
        bounds: Bounds,
        only_one: bool = False,
    ) -> bool:
        rows = sum([w.rows for w in batch]) if batch else 0
        rows_max, cost_max = bounds.rows, bounds.cost
        longest = max([w.cost for w in batch]) if batch and cost_max is not None else 0
        grown = False
        while lane:
            work = lane[0]
            if work.settled:
                lane.popleft()
                self._dead -= 1
                continue
            if work.deadline <= now:
                lane.popleft()
                self._count_out(work)
                late.append(work)
                continue
            rows += work.rows
            if batch and rows > rows_max:
                break
            if cost_max is not None:
                # A padded batch costs its longest row, once for each row.
                longest = max(longest, work.cost)
                if batch and longest * rows > cost_max:
                    break
            lane.popleft()
            if work.tenant:
                self._count_out(work)
            else:
                self.rows -= work.rows
            batch.append(work)
            grown = True
            if only_one:
                self._charge(work)
                break
        return grown

    def _next_lane(self, batch: list[Work]) -> LaneKey | None:
        """The most urgent lane that can join the batch: priority, least-served tenant, arrival."""
        best: LaneKey | None = None
        best_rank: tuple[int, float, float] | None = None
        for key, lane in list(self._lanes.items()):
            while lane and lane[0].settled:
                lane.popleft()
                self._dead -= 1
            if not lane:
                del self._lanes[key]
                continue
            if batch and key[2] != batch[0].shape_key:
                continue
            rank = (key[0], self._served.get(key[1], 0.0), lane[0].arrived)
            if best_rank is None or rank < best_rank:
                best, best_rank = key, rank
        return best

    def _charge(self, work: Work) -> None:
        self._level = self._served.get(work.tenant, self._level)
        self._served[work.tenant] = self._level + work.rows
        if len(self._served) > _SHARES_MAX:
            present = {key[1] for key in self._lanes}
            self._served = {t: s for t, s in self._served.items() if t in present}

    def _count_out(self, work: Work) -> None:
        self.rows -= work.rows
        if work.tenant:
            left = self.rows_by_tenant[work.tenant] - work.rows
            if left:
                self.rows_by_tenant[work.tenant] = left
            else:
                del self.rows_by_tenant[work.tenant]

    def _sweep(self) -> None:
        self._lane = deque()
        for key, lane in list(self._lanes.items()):
            alive = deque(w for w in lane if not w.settled)
            if alive:
                self._lanes[key] = alive
            else:
                del self._lanes[key]
        self._dead = 0
