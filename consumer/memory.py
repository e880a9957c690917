"""A broker in lists: an `EventStream` for tests and dry runs, held to the real one's contract."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from consumer.compact_ids import CompactIds
from consumer.ports import Copy, Nothing
from consumer.restoring import fill
from schemas.errors import KafkaUnavailable
from schemas.records import Batch, Headers, Lost, Place, Publication, Record


@dataclass(slots=True)
class MemoryTopics:
    """What a broker keeps: records by place, settled offsets, publications in order."""

    records: dict[Place, list[Record]] = field(default_factory=dict)
    settled: dict[Place, int] = field(default_factory=dict)  # the next offset to read
    published: list[Publication] = field(default_factory=list)
    kept_from: dict[Place, int] = field(default_factory=dict)  # offsets before it are gone

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

    `largest` is the most bytes of key, value and headers that a publication may have. Where
    `repeats` names a topic, what it holds of a partition is restored into `copy` before its records
    are read: at the start, and after a settling that nobody knows the end of.
    """

    topics: MemoryTopics
    reads: Sequence[str]
    most: int = 5000
    largest: int | None = None
    repeats: str | None = None
    copy: Copy = field(default_factory=Nothing)
    fail: Callable[[str], None] = lambda _: None  # called before each step, to inject faults
    _positions: dict[Place, int] | None = None  # None: not known any more
    _in_doubt: bool = True  # whether what is remembered is what is settled
    _is_settling: bool = False  # or it failed, and nothing behind it may be settled

    def collect(self) -> Batch:
        """Return what waits; see `EventStream`."""
        self.fail("collect")
        if self._in_doubt:
            self._restore()
        positions = self._positions
        if positions is None:
            positions = dict(self.topics.settled)
        self._positions, self._is_settling = None, False  # until the batch is settled
        batch = self._waiting(positions)
        if batch.is_empty:
            self._positions = positions
        return batch

    def _waiting(self, positions: Mapping[Place, int]) -> Batch:
        places = [place for place in self.topics.records if place.topic in self.reads]
        froms = {place: self.topics.kept_from.get(place, 0) for place in places}
        lost = [
            Lost(*place, position, froms[place] - 1)
            for place in places
            if (position := positions.get(place, froms[place])) < froms[place]
        ]
        waiting = [
            record
            for place in places
            for record in self.topics.records[place][max(positions.get(place, 0), froms[place]) :]
        ]
        return Batch(tuple(waiting[: self.most]), tuple(lost))

    def _restore(self) -> None:
        places = [place for place in self.topics.records if place.topic in self.reads]
        ids = {place: CompactIds() for place in places}
        held = [p for p in self.topics.published if p.topic == self.repeats]
        fill(ids, [(p.partition or 0, p.key or b"", p.value or b"") for p in held], cut=False)
        self.copy.forget(places)
        for place in places:
            self.copy.restore(place, ids[place], 0)
        self._in_doubt = False

    def settle(self, batch: Batch, publications: Sequence[Publication]) -> None:
        """Publish and mark at once; see `EventStream`."""
        if self._is_settling:
            raise KafkaUnavailable("what was collected before it is not settled")
        self._positions, self._is_settling = None, True  # until this one is settled too
        self.fail("settle")
        fitting = [self._fitting(publication) for publication in publications]
        self.topics.published += fitting
        self.topics.settled |= batch.ends()
        self._in_doubt = True
        self.fail("settled")
        self._in_doubt = False
        self._positions, self._is_settling = dict(self.topics.settled), False

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
        self._positions = None


def _size(publication: Publication) -> int:
    headers = sum(len(name) + len(content or b"") for name, content in publication.headers)
    return len(publication.key or b"") + len(publication.value or b"") + headers
