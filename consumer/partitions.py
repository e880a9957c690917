"""Which partitions are ours, and which of them may be read: no Kafka, no clock.

A partition that is assigned to us may be read once it has been taken over (`restoring`): its place
in the input is known and its settled ids are in the worker's copy. Until then its records are
dropped, whoever hands them out. A take-over bears a number, so that one which was overtaken by a
revocation, a new assignment or a doubt changes nothing when it ends.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, islice
from operator import lt

from schemas.records import Batch, Place, Record


@dataclass(slots=True)
class Partitions:
    """The partitions of one group member."""

    _taking_over: dict[Place, int] = field(default_factory=dict)
    _readable: set[Place] = field(default_factory=set)
    _changed: set[Place] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def begin_collecting(self) -> None:
        """Forget which partitions have changed hands: a new collection begins."""
        self._changed.clear()

    def take_over(self, places: Iterable[Place]) -> dict[Place, int]:
        """Note partitions that are ours and not to be read yet; return each take-over's number."""
        numbers = {place: next(self._numbers) for place in places}
        self._changed |= numbers.keys()
        self._readable -= numbers.keys()
        self._taking_over |= numbers
        return numbers

    def let_go(self, places: Collection[Place]) -> None:
        """Note partitions that are ours no more."""
        self._changed.update(places)
        self._readable.difference_update(places)
        for place in places:
            self._taking_over.pop(place, None)

    def is_awaited(self, place: Place, number: int) -> bool:
        """Say whether a take-over that has ended is the one that its partition waits for."""
        return self._taking_over.get(place) == number

    def taken_over(self, place: Place) -> None:
        """Note that a partition may be read from now on."""
        del self._taking_over[place]
        self._readable.add(place)

    def readable(self, places: Iterable[Place]) -> list[Place]:
        """Return which of these are ours and may be read."""
        return [place for place in places if place in self._readable]

    def kept(self, records: Iterable[Record]) -> list[Record]:
        """Drop records of partitions that are not ours to read, or were not all the time.

        What is dropped comes again: to us from the place that its take-over finds, or to others.
        """
        if not self._changed and not self._taking_over:
            return list(records)
        return [
            record
            for record in records
            if record.place in self._readable and record.place not in self._changed
        ]

    @property
    def all_readable(self) -> bool:
        """Say whether nothing is being taken over."""
        return not self._taking_over


def gone_back(batch: Batch, least: Mapping[Place, int]) -> set[Place]:
    """Return the partitions of which records come that lie before what may come.

    `least` is the least offset that may come next. A client that goes back by itself, as one did
    when its broker was killed, would have us settle what is settled.
    """
    found, next_offsets = set(), dict(least)
    for place, begin, end in batch.runs:
        offsets = [record.offset for record in batch.records[begin:end]]
        in_order = all(map(lt, offsets, islice(offsets, 1, None)))
        if not in_order or offsets[0] < next_offsets.get(place, 0):
            found.add(place)
        next_offsets[place] = offsets[-1] + 1
    return found
