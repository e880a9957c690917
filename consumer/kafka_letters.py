"""The dead-letter topic from outside the worker: a reader to its end, and a redrive's producer.

The reader joins no group and commits nothing. A read_committed reader comes to its end before the
first open transaction; what lies behind it (a mark, say) would be missed. So the end is asked for
with READ_UNCOMMITTED, and open transactions below it are waited for (kafka.md, section 6).
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imported there, not exported
    AdminClient,
    OffsetSpec,
)

from consumer.kafka_calls import CALL, finished
from consumer.kafka_ends import records_before
from consumer.kafka_errors import FENCED, kafka_errors, meaning
from consumer.kafka_records import record_of
from consumer.kafka_settings import client_properties, consumer_properties, producer_properties
from consumer.letters.reading import Position
from schemas.errors import Fatal, InvalidSettings, KafkaUnavailable
from schemas.records import Place, Publication, Record

ASK = 10.0  # seconds a question may take
COMMIT = 15.0  # seconds

_GONE = frozenset(
    {
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]

quiet = logging.getLogger("librdkafka.letters")  # what fails is told by the command itself
quiet.disabled = True


@dataclass(frozen=True, slots=True)
class KafkaDeadLetters:
    """A `DeadLetterTopic`."""

    bootstrap_servers: str
    properties: Mapping[str, str]
    topic: str
    group_id: str  # whose rights are used; it is not joined
    setting: str = "PUSH_TOPIC_DEAD_LETTER"  # what names the topic

    def records(self, since: datetime | None = None) -> Iterator[Record]:
        """Yield what is committed; see `DeadLetterTopic`."""
        with kafka_errors():
            partitions = self._partitions()
            ends = self._offsets(partitions, LATEST)
            starts = self._offsets(partitions, EARLIEST if since is None else _from(since))
            # Behind the last record there is no offset for a time, and nothing to read.
            given = {p: start if start >= 0 else ends[p] for p, start in starts.items()}
            yield from self._read(given, ends)

    def records_between(self, since: datetime, known: Mapping[int, int]) -> Iterator[Record]:
        """Yield what was written at or after an instant, and what lies behind known offsets.

        A partition that is not known is read from its beginning.
        """
        with kafka_errors():
            partitions = self._partitions()
            firsts = self._offsets(partitions, EARLIEST)
            ends = self._offsets(partitions, LATEST)
            starts = self._offsets(partitions, _from(since))
            given = {
                p: max(firsts[p], min(known.get(p, 0), start if start >= 0 else ends[p]))
                for p, start in starts.items()
            }
            yield from self._read(given, ends)

    def records_from(self, place: Position) -> Iterator[Record]:
        """Yield one partition's from an offset on; see `DeadLetterTopic`."""
        with kafka_errors():
            if place.partition not in self._partitions():
                return
            first = self._offsets([place.partition], EARLIEST)[place.partition]
            end = self._offsets([place.partition], LATEST)
            yield from self._read({place.partition: max(place.offset, first)}, end)

    def _partitions(self) -> list[int]:
        found = self._admin().list_topics(self.topic, timeout=ASK).topics[self.topic]
        if found.error is not None:
            if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise InvalidSettings([f"{self.setting}: there is no topic {self.topic!r}"])
            raise meaning(found.error)
        return sorted(found.partitions)

    def _offsets(self, partitions: Sequence[int], which: OffsetSpec) -> dict[int, int]:
        admin = self._admin()  # must outlive its answers
        answers = admin.list_offsets(
            {TopicPartition(self.topic, p): which for p in partitions},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=ASK,
        )
        return {place.partition: answer.result().offset for place, answer in answers.items()}

    def _admin(self) -> AdminClient:
        return AdminClient(client_properties(self.bootstrap_servers, self.properties), logger=quiet)

    def _read(self, starts: Mapping[int, int], ends: Mapping[int, int]) -> Iterator[Record]:
        left = {Place(self.topic, p): ends[p] for p, start in starts.items() if start < ends[p]}
        if not left:
            return
        consumer = self._consumer()
        try:
            consumer.assign([TopicPartition(*place, starts[place.partition]) for place in left])
            yield from map(record_of, records_before(left, consumer))
        finally:
            consumer.close()

    def _consumer(self) -> Consumer:
        properties = consumer_properties(self.bootstrap_servers, self.group_id, self.properties)
        return Consumer(
            {**properties, "enable.partition.eof": True, "auto.offset.reset": "earliest"},
            logger=quiet,
        )


def _from(since: datetime) -> OffsetSpec:
    spec: OffsetSpec = OffsetSpec.for_timestamp(int(since.timestamp() * 1000))
    return spec


class KafkaRedriver:
    """A `Redriver` on one transactional producer, which is not used again after a failure."""

    def __init__(
        self, bootstrap_servers: str, properties: Mapping[str, str], transactional_id: str
    ) -> None:
        """Make no client yet."""
        self._properties = producer_properties(bootstrap_servers, transactional_id, properties)
        self._producer: Producer | None = None

    def take_over(self) -> None:
        """Fence a predecessor and end its transaction; see `Redriver`."""
        with kafka_errors():
            self._producer = Producer(self._properties, logger=quiet)
            finished(self._producer.init_transactions, COMMIT)

    def publish(self, publications: Sequence[Publication]) -> None:
        """Publish in one transaction; see `Redriver`."""
        producer = self._producer
        if producer is None:
            raise KafkaUnavailable("Kafka: the producer is not ready")
        self._producer = None  # until this one is through: what is in doubt is not used again
        refused: list[KafkaError] = []  # why, which the transaction's own failure does not tell
        try:
            producer.begin_transaction()
            for publication in publications:
                _produce(producer, publication, refused)
            again = finished(producer.commit_transaction, COMMIT)
        except (KafkaException, BufferError) as failure:
            said = _said(failure, refused)
            _give_up(producer)
            raise said from failure
        if again:
            self.take_over()  # a late answer may reach the next transaction (KIP-890)
        else:
            self._producer = producer


def _produce(producer: Producer, publication: Publication, refused: list[KafkaError]) -> None:
    partition = -1 if publication.partition is None else publication.partition  # -1: by the key
    producer.produce(
        publication.topic,
        publication.value,
        publication.key,
        partition,
        headers=list(publication.headers) or None,
        on_delivery=lambda error, _: None if error is None else refused.append(error),
    )


def _give_up(producer: Producer) -> None:
    """Abort, so that readers need not wait for the transaction's timeout."""
    try:
        producer.abort_transaction(CALL)
    except KafkaException:
        quiet.warning("abort_failed")


def _said(failure: KafkaException | BufferError, refused: Sequence[KafkaError]) -> Exception:
    if isinstance(failure, BufferError):
        return KafkaUnavailable("Kafka: the producer's queue is full")
    error = refused[0] if refused else failure.args[0]
    if error.code() in FENCED:
        return Fatal("another redrive of this group has taken over; this one stops")
    if error.code() in _GONE:
        return Fatal(
            "a topic or partition that a letter came from is not there any more, so its chunk was "
            "not put back; leave such letters out with --topic"
        )
    return meaning(error)
