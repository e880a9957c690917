"""Bytes at a place and bytes for a topic: what the loop reads and publishes.

`Record` is a NamedTuple because one is made for every record on the hot path, and `Publication` for
every mail and settled id.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from schemas.vocabulary import EventType

Headers = tuple[tuple[str, bytes | None], ...]


class Place(NamedTuple):
    """A topic's partition."""

    topic: str
    partition: int


class Record(NamedTuple):
    """Bytes at an offset. `timestamp` is milliseconds since 1970 in UTC, -1 when unknown."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def place(self) -> Place:
        """Return the partition it lies in."""
        return Place(self.topic, self.partition)


class Lost(NamedTuple):
    """Offsets that retention took before they were read, first and last included."""

    topic: str
    partition: int
    first_offset: int
    last_offset: int


class Run(NamedTuple):
    """Records of one partition that lie side by side in a batch, from `begin` on, before `end`."""

    place: Place
    begin: int
    end: int


@dataclass(frozen=True)
class Batch:
    """Records settled together, in order within each partition; ranges found to be lost too.

    What is asked of a batch by partition goes by its runs: a client hands out many records of one
    partition side by side, and looking at each again costs more than what is done with it.
    """

    records: tuple[Record, ...] = ()
    lost: tuple[Lost, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing to settle."""
        return not self.records and not self.lost

    def parts(self, most: int) -> "tuple[Batch, ...]":
        """Cut into batches of up to `most` records, in order; what was lost goes with the first."""
        if self.is_empty or len(self.records) <= most:
            return () if self.is_empty else (self,)
        begins = range(0, len(self.records), most)
        return tuple(
            Batch(self.records[at : at + most], self.lost if at == 0 else ()) for at in begins
        )

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Return the batch's runs in its order."""
        runs, end = [], 0
        for place, records in groupby(self.records, key=itemgetter(0, 1)):
            begin, end = end, end + sum(1 for _ in records)
            runs.append(Run(Place(*place), begin, end))
        return tuple(runs)

    def firsts(self) -> dict[Place, Record]:
        """Return the first record of each partition."""
        return {run.place: self.records[run.begin] for run in reversed(self.runs)}

    def starts(self) -> dict[Place, int]:
        """Return the first offset of each partition."""
        firsts = {place: record.offset for place, record in self.firsts().items()}
        return firsts | {Place(gap.topic, gap.partition): gap.first_offset for gap in self.lost}

    def ends(self) -> dict[Place, int]:
        """Return the offset to read on from, for each partition."""
        ends = {Place(gap.topic, gap.partition): gap.last_offset + 1 for gap in self.lost}
        ends.update({run.place: self.records[run.end - 1].offset + 1 for run in self.runs})
        return ends


class Publication(NamedTuple):
    """Bytes for a topic; where `partition` is None, the key says which one.

    `smaller` is the same said in less, for a broker that refuses the size; None where there is
    nothing smaller to say.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    smaller: "Publication | None" = None
    partition: int | None = None


def places(records: Iterable[Record]) -> frozenset[Place]:
    """Return the partitions that the records lie in."""
    return frozenset(record.place for record in records)


Topics = dict[str, EventType]  #: which event type an input topic carries
