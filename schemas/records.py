"""Bytes at a place and bytes for a topic: what the loop reads and publishes.

`Record` is a NamedTuple because one is made for every record on the hot path.
"""

from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Batch:
    """Records settled together, in order within each partition; ranges found to be lost too."""

    records: tuple[Record, ...] = ()
    lost: tuple[Lost, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing to settle."""
        return not self.records and not self.lost

    def ends(self) -> dict[Place, int]:
        """Return the offset to read on from, for each partition."""
        ends = {Place(gap.topic, gap.partition): gap.last_offset + 1 for gap in self.lost}
        for record in self.records:
            ends[Place(record.topic, record.partition)] = record.offset + 1
        return ends

    def starts(self) -> dict[Place, int]:
        """Return the first offset of each partition."""
        starts = {Place(gap.topic, gap.partition): gap.first_offset for gap in self.lost}
        for record in self.records:
            starts.setdefault(Place(record.topic, record.partition), record.offset)
        return starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
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
