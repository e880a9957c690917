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


@dataclass(frozen=True, slots=True)
class Batch:
    """Records settled together, in order within each partition."""

    records: tuple[Record, ...] = ()


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
