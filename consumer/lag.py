"""Seconds behind, by partition: the age of the oldest record that is not settled.

Offsets do not say how late anybody is (operations.md, section 2.4). An empty collection means that
everything which can be read has been settled; the client hands partitions out in turn.
"""

from collections.abc import Callable, Mapping
from time import time

from schemas.records import Batch, Place


class Lag:
    """Notes what was collected; asked at each scrape, by another thread."""

    def __init__(self, now: Callable[[], float] = time) -> None:
        """Take a clock of seconds since 1970."""
        self._now = now
        self._oldest: dict[Place, float | None] = {}  # None: drained

    def collected(self, batch: Batch) -> None:
        """Note the oldest record of each partition; one without a record is drained."""
        oldest: dict[Place, float | None] = dict.fromkeys(self._oldest)
        oldest.update({p: record.timestamp / 1000 for p, record in batch.firsts().items()})
        self._oldest = oldest

    def seconds(self) -> Mapping[Place, float]:
        """Return how far each partition seen so far is behind."""
        now = self._now()
        return {
            place: 0.0 if at is None else max(0.0, now - at) for place, at in self._oldest.items()
        }
