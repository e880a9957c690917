"""The dead letters of a broker in lists: held to the real one's contract."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from consumer.letters.reading import Position
from consumer.memory import MemoryTopics
from schemas.errors import KafkaUnavailable
from schemas.records import Publication, Record


@dataclass(frozen=True, slots=True)
class MemoryDeadLetters:
    """A `DeadLetterTopic`: what was published to it, by partition (0 where none was named)."""

    topics: MemoryTopics
    topic: str

    def records(self, since: datetime | None = None) -> Iterator[Record]:
        """Yield everything: nothing in memory has a time; see `DeadLetterTopic`."""
        del since
        counts = dict[int, int]()
        for publication in list(self.topics.published):
            if publication.topic == self.topic:
                partition = publication.partition or 0
                offset = counts.get(partition, 0)
                counts[partition] = offset + 1
                parts = publication.key, publication.value, publication.headers
                yield Record(self.topic, partition, offset, -1, *parts)

    def records_from(self, place: Position) -> Iterator[Record]:
        """Yield one partition's from an offset on; see `DeadLetterTopic`."""
        for record in self.records():
            if record.partition == place.partition and record.offset >= place.offset:
                yield record


@dataclass(slots=True)
class MemoryRedriver:
    """A `Redriver`: what it puts back is there to be read, its marks are published."""

    topics: MemoryTopics
    marks: str  # the dead-letter topic
    fail: Callable[[str], None] = lambda _: None  # called before each step, to inject faults
    _ready: bool = False

    def take_over(self) -> None:
        """Get ready; see `Redriver`."""
        self.fail("take over")
        self._ready = True

    def publish(self, publications: Sequence[Publication]) -> None:
        """Publish all at once; see `Redriver`."""
        if not self._ready:
            raise KafkaUnavailable("the producer is not ready")
        self._ready = False
        self.fail("publish")
        for publication in publications:
            if publication.topic == self.marks:
                self.topics.published.append(publication)
            else:
                self.topics.append(
                    publication.topic,
                    publication.value,
                    key=publication.key,
                    partition=publication.partition or 0,
                    headers=publication.headers,
                )
        self.fail("published")
        self._ready = True
