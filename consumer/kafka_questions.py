"""What a take-over asks Kafka: the door behind `restoring.Questions`.

The reader has the group's id but joins nothing: it asks for the group's offsets and reads the
repeats and evaluation topics by places it is given. Ends are asked for with READ_UNCOMMITTED: a
read_committed reader's own question shows the last stable offset (kafka.md, section 6).
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imported there, not exported
    AdminClient,
    OffsetSpec,
)

from consumer.kafka_ends import records_before
from consumer.kafka_errors import kafka_errors
from consumer.restoring import Bounds
from schemas.errors import InvalidEvent
from schemas.plans import Evaluation
from schemas.records import Place

logger = logging.getLogger(__name__)

ASK = 10.0  # seconds for an answer
TAIL = 20_000  # evaluations of a partition that are recent: some minutes of the smallest batches
STABLE = 2.0  # seconds for an offset without an open transaction over it: others wait their turn


class KafkaQuestions:
    """Asks for one group; `repeats` is None for a daemon that remembers nothing."""

    def __init__(
        self,
        new_reader: Callable[[], Consumer],
        new_admin: Callable[[], AdminClient],
        *,
        repeats: str | None = None,
        evaluation: str | None = None,
        read_evaluation: Callable[[bytes | None], Evaluation] | None = None,
        widen: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Make no client yet; `widen` gives the repeats topic so many partitions."""
        self._new_reader = new_reader
        self._new_admin = new_admin
        self._repeats = repeats
        self._evaluation = evaluation
        self._read_evaluation = read_evaluation
        self._widen = widen

    @cached_property
    def _reader(self) -> Consumer:
        return self._new_reader()

    def committed(self, places: Collection[Place]) -> Mapping[Place, int | None]:
        """Return the group's stable offsets; see `Questions`."""
        with kafka_errors():
            answers = self._reader.committed([TopicPartition(*place) for place in places], STABLE)
            return {
                Place(each.topic, each.partition): each.offset if each.offset >= 0 else None
                for each in map(_without_error, answers)
            }

    def bounds(self, places: Collection[Place]) -> Mapping[Place, Bounds]:
        """Return first offsets and high watermarks; see `Questions`."""
        with kafka_errors():
            firsts = self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
            ends = self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {place: Bounds(firsts[place], ends[place]) for place in places}

    def _offsets(self, places: Iterable[Place], which: OffsetSpec) -> Mapping[Place, int]:
        admin = self._new_admin()  # afresh: a client keeps in mind how many partitions there were
        asked = admin.list_offsets(
            {TopicPartition(*place): which for place in places},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=ASK,
        )
        return {
            Place(place.topic, place.partition): answer.result(ASK).offset
            for place, answer in asked.items()
        }

    def ends_of_repeats(self, partitions: Collection[int]) -> Mapping[int, Bounds]:
        """Return what the repeats topic holds, after widening it if need be; see `Questions`."""
        topic = self._repeats or ""
        self._widen(max(partitions) + 1)
        found = self.bounds([Place(topic, partition) for partition in partitions])
        return {place.partition: bounds for place, bounds in found.items()}

    def settled(self, spans: Mapping[int, Bounds]) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield what is committed in these spans; see `Questions`."""
        topic = self._repeats or ""
        wanted = {Place(topic, number): span for number, span in spans.items()}
        for message in self._read(wanted):
            yield message.partition() or 0, message.key() or b"", message.value() or b""

    def evaluated(self, places: Collection[Place]) -> Collection[Place]:
        """Return which of the places an evaluation names; see `Questions`."""
        sought = _evaluation_keys(places)
        found = set()
        for message in self._read(self._evaluations()):
            place = sought.pop(message.key() or b"", None)
            if place is not None:
                found.add(place)
            if not sought:
                break
        return found

    def evaluated_until(self, places: Collection[Place]) -> Mapping[Place, int]:
        """Return how far the newest evaluations reach; see `Questions`."""
        sought, found = _evaluation_keys(places), dict[Place, int]()
        spans = {
            place: Bounds(max(first, end - TAIL), end)
            for place, (first, end) in self._evaluations().items()
        }
        for message in self._read(spans):
            place = sought.get(message.key() or b"")
            if place is None or self._read_evaluation is None:
                continue
            with suppress(InvalidEvent):  # somebody else's: it tells nothing
                last = self._read_evaluation(message.value()).last_offset
                found[place] = max(last + 1, found.get(place, 0))
        return found

    def _evaluations(self) -> Mapping[Place, Bounds]:
        topic = self._evaluation or ""
        with kafka_errors():
            numbers = self._reader.list_topics(topic, timeout=ASK).topics[topic].partitions
        return self.bounds([Place(topic, number) for number in numbers])

    def _read(self, spans: Mapping[Place, Bounds]) -> Iterator[Message]:
        """Yield the committed records of these spans; end once the end of each was reached."""
        left = {place: span.end for place, span in spans.items() if span.end > span.first}
        if not left:
            return
        with kafka_errors():
            try:
                # A client that is to read a topic that it never heard of waits for the second.
                for topic in {place.topic for place in left}:
                    self._reader.list_topics(topic, timeout=ASK)
                self._reader.assign([TopicPartition(*place, spans[place].first) for place in left])
                yield from records_before(left, self._reader)
            finally:
                self._reader.unassign()

    def close(self) -> None:
        """Let the reader go; it has joined nothing, so nobody waits for it."""
        if "_reader" in self.__dict__:
            self._reader.close()


def _evaluation_keys(places: Collection[Place]) -> dict[bytes, Place]:
    return {f"{place.topic}/{place.partition}".encode(): place for place in places}


def _without_error(place: TopicPartition) -> TopicPartition:
    if place.error is not None:
        raise KafkaException(place.error)
    return place
