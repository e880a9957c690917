"""The worker's copy of the event ids that were settled lately, per input partition.

It holds what is committed and nothing else: ids enter once their commit is known, a partition's
copy goes when the partition does, and after an unknown outcome it is read back from the topic
before the next plan. Asked by the planner, for events that a rule wants (DECISIONS 14).
"""

from collections.abc import Callable, Collection, Iterable
from datetime import timedelta
from typing import TypeAlias

from consumer.compact_ids import CompactIds
from schemas.records import Place
from schemas.repeats import SettledId

#: (partition, key, now) → the offset at which the id came first, or None. Milliseconds since 1970.
FirstOffset: TypeAlias = Callable[[Place, bytes, int], int | None]


def none_known(_place: Place, _key: bytes, _now: int) -> None:
    """Know no id: for those who only try things out."""


class Repeats:
    """Knows an id for `window` from when it was settled; of all partitions at most `limit` ids.

    A `Copy` for the stream, `FirstOffset` for the planner. One thread changes it; `window_seconds`
    and `count` may be asked by another.
    """

    def __init__(self, window: timedelta, limit: int) -> None:
        self._window = int(window.total_seconds() * 1000)
        self._limit = limit
        self._ids: dict[Place, CompactIds] = {}
        self._complete_since = 0  # the newest time of an id that was left out for want of room
        self.count = 0  #: ids that are known

    def first_offset(self, place: Place, key: bytes, now: int) -> int | None:
        """Return where an id came first, or None where it is not known or its time is over."""
        ids = self._ids.get(place)
        found = ids.get(key) if ids is not None else None
        if found is None:
            return None
        offset, settled_at = found
        return offset if now - settled_at < self._window else None

    def enter(self, settled: Iterable[SettledId]) -> None:
        """Take in ids whose commit is known."""
        for place, key, first_offset, settled_at in settled:
            ids = self._ids.get(place)
            if ids is None:
                ids = self._ids[place] = CompactIds()
            ids.add(key, first_offset, settled_at)
        self._make_room()

    def restore(self, place: Place, ids: CompactIds, since: int) -> None:
        """Replace a partition's ids by what its topic holds; see `Copy`."""
        self._ids[place] = ids
        self._complete_since = max(self._complete_since, since)
        self._make_room()

    def forget(self, places: Collection[Place]) -> None:
        """Drop the ids of partitions that are somebody else's now, or in doubt; see `Copy`."""
        for place in places:
            self._ids.pop(place, None)
        self._make_room()

    def window_seconds(self, now: int) -> float:
        """Return how long back an id is surely known; `now` in milliseconds since 1970."""
        return max(0, min(self._window, now - self._complete_since)) / 1000

    def _make_room(self) -> None:
        """Let the oldest leave, of whichever partition they are."""
        self.count = sum(map(len, self._ids.values()))
        while self.count > self._limit:
            (_, oldest), *others = sorted((ids.oldest, p) for p, ids in self._ids.items() if ids)
            until = others[0][0] if others else None
            self._force_out(self._ids[oldest], until)

    def _force_out(self, ids: CompactIds, until: int | None) -> None:
        """Force out a partition's oldest while there are too many and none elsewhere is older."""
        while self.count > self._limit and ids and (until is None or ids.oldest <= until):
            self._complete_since = max(self._complete_since, ids.forget_oldest())
            self.count -= 1
