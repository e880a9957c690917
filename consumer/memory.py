"""A broker in lists: an `EventStream` for tests and dry runs, held to the real one's contract."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.errors import KafkaUnavailable
from schemas.records import Batch, Headers, Place, Publication, Record


@dataclass(slots=True)
class MemoryTopics:
    """What a broker keeps: records by place, settled offsets, publications in order."""

    records: dict[Place, list[Record]] = field(default_factory=dict)
    settled: dict[Place, int] = field(default_factory=dict)  # the next offset to read
    published: list[Publication] = field(default_factory=list)

    def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int = 0,
        headers: Headers = (),
    ) -> Record:
        """Add a record at the end of a partition and return it."""
        log = self.records.setdefault(Place(topic, partition), [])
        record = Record(topic, partition, len(log), -1, key, value, headers)
        log.append(record)
        return record


@dataclass(slots=True, kw_only=True)
class MemoryStream:
    """Reads and settles `MemoryTopics`; a stream made anew goes on from what is settled.

    `largest` is the most bytes of key, value and headers that a publication may have.
    """

    topics: MemoryTopics
    reads: Sequence[str]
    most: int = 5000
    largest: int | None = None
    fail: Callable[[str], None] = lambda _: None  # called before each step, to inject faults
    _positions: dict[Place, int] = field(default_factory=dict)
    _unsettled: bool = False

    def collect(self) -> Batch:
        """Return what waits; see `EventStream`."""
        if self._unsettled:
            self._positions = dict(self.topics.settled)
            self._unsettled = False
        self.fail("collect")
        if not self._positions:
            self._positions = dict(self.topics.settled)
        waiting = [
            record
            for place, log in self.topics.records.items()
            if place.topic in self.reads
            for record in log[self._positions.get(place, 0) :]
        ]
        batch = Batch(tuple(waiting[: self.most]))
        self._positions |= _ends(batch)
        self._unsettled = bool(batch.records)
        return batch

    def settle(self, batch: Batch, publications: Sequence[Publication]) -> None:
        """Publish and mark at once; see `EventStream`."""
        self.fail("settle")
        fitting = [self._fitting(publication) for publication in publications]
        self.topics.published += fitting
        self.topics.settled |= _ends(batch)
        self._unsettled = False
        self.fail("settled")

    def _fitting(self, publication: Publication) -> Publication:
        if self.largest is None or _size(publication) <= self.largest:
            return publication
        if publication.smaller is None:
            raise KafkaUnavailable(
                "a publication is too large, and there is nothing smaller to say"
            )
        return self._fitting(publication.smaller)

    def close(self) -> None:
        """Forget where it was; see `EventStream`."""
        self._positions = {}


def _ends(batch: Batch) -> Mapping[Place, int]:
    return {record.place: record.offset + 1 for record in batch.records}


def _size(publication: Publication) -> int:
    headers = sum(len(name) + len(content or b"") for name, content in publication.headers)
    return len(publication.key or b"") + len(publication.value or b"") + headers
