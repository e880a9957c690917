"""A histogram that is cheap enough for every record: fixed bounds, plain ints, one bisection."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple


class Buckets(NamedTuple):
    """A histogram as it is exported: counts up to and including each bound, the last one all."""

    up_to: tuple[int, ...]  # one more than there are bounds; the last is the count of all
    total: float  # of all values


class Histogram:
    """Counts values by fixed bounds. One thread writes, any may read."""

    __slots__ = ("_counts", "_total", "bounds")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Take upper bounds, ascending; a value equal to a bound counts below it."""
        if list(bounds) != sorted(set(bounds)) or not bounds:
            raise ValueError("bounds must ascend")
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float, count: int = 1) -> None:
        """Count a value, or `count` values that are alike."""
        self._counts[bisect_left(self.bounds, value)] += count
        self._total += value * count

    def buckets(self) -> Buckets:
        """Return all counts as of now; they fit each other, whatever is observed meanwhile."""
        counts, total = self._counts.copy(), self._total
        return Buckets(tuple(accumulate(counts)), total)
