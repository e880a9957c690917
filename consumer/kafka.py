"""An `EventStream` on one consumer and one transactional producer (kafka.md, sections 1 to 6).

One batch is one transaction, begun and committed between two calls to `collect`; rebalance
callbacks run inside `collect` only, so none ever meets an open transaction. After any failure a
new producer decides its predecessor's transaction, and the broker is asked what is true; nothing
is guessed and nothing is polled before.
"""

import logging
from collections.abc import Callable, Sequence
from time import monotonic

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from consumer.kafka_calls import CALL, finished
from consumer.kafka_errors import TOO_LARGE, consumer_meaning, kafka_errors
from consumer.kafka_records import record_of
from schemas.errors import InvalidSettings, KafkaUnavailable
from schemas.records import Batch, Place, Publication, Record

logger = logging.getLogger(__name__)

POLL = 0.5  # seconds; bounds how long a stop request is not seen
COMMIT_DEADLINE = 15.0  # seconds; less than the transaction's timeout
FENCED_AT_MOST, FENCED_WITHIN = 3, 300.0  # times, seconds: then two processes share one id


class KafkaStream:
    """Reads what is not settled and settles it."""

    def __init__(
        self,
        new_consumer: Callable[[], Consumer],
        topics: Sequence[str],
        new_producer: Callable[[], Producer],
        most: int,
        wait: float,
        transactional_id: str,
    ) -> None:
        """Make no client yet; a batch is full with `most` records or after `wait` seconds."""
        self._new_consumer = new_consumer
        self._joined: Consumer | None = None
        self._topics = list(topics)
        self._new_producer = new_producer
        self._producer: Producer | None = None
        self._most = most
        self._wait = wait
        self._transactional_id = transactional_id
        self._gone: set[Place] = set()  # taken away during this collect
        self._unsettled: dict[Place, int] = {}  # first offset of the batch that is not settled
        self._fenced_at: list[float] = []
        self.assigned = False  # a group was joined once

    def collect(self) -> Batch:
        """Return what waits; see `EventStream`."""
        with kafka_errors():
            if self._producer is None:
                self._producer = self._started_producer()
            if self._unsettled:
                self._rewind()
            return self._poll()

    @property
    def _consumer(self) -> Consumer:
        if self._joined is None:
            self._joined = self._new_consumer()
            self._joined.subscribe(
                self._topics,
                on_assign=self._on_assign,
                on_revoke=self._on_gone,
                on_lost=self._on_gone,
            )
        return self._joined

    def _poll(self) -> Batch:
        self._gone.clear()
        first = self._consumer.poll(POLL)  # back with a record; consume takes all its time
        if first is None:
            return Batch()
        records = [record_of(first)] if self._is_record(first) else []
        self._hold(records)
        rest = self._consumer.consume(self._most - 1, self._wait)  # a rebalance may run in here:
        if records and records[0].place in self._gone:
            records = []  # somebody else's now; in `rest` the client sees to that itself
        records += [record_of(message) for message in rest if self._is_record(message)]
        self._hold(records)
        return Batch(tuple(records))

    def _hold(self, records: Sequence[Record]) -> None:
        """Note where to go back to if these records are not settled."""
        self._unsettled.clear()
        for record in records:
            self._unsettled.setdefault(Place(record.topic, record.partition), record.offset)

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        meaning = consumer_meaning(error)
        if meaning is not None:
            raise meaning
        logger.warning("kafka_consumer_error", extra={"kafka_error": error.name()})
        return False

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self.assigned = True
        logger.info("partitions_assigned", extra={"partitions": _names(partitions)})

    def _on_gone(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._gone.update(Place(p.topic, p.partition) for p in partitions)
        logger.info("partitions_revoked", extra={"partitions": _names(partitions)})

    def settle(self, batch: Batch, publications: Sequence[Publication]) -> None:
        """Publish and mark in one transaction; see `EventStream`."""
        waiting = [_Outgoing(publication) for publication in publications]
        with kafka_errors():
            while not self._settled(batch, waiting):
                logger.warning("publication_too_large", extra={"limit": "of the broker"})
        self._unsettled.clear()

    def _settled(self, batch: Batch, waiting: Sequence["_Outgoing"]) -> bool:
        """Try once; False where a publication was refused for its size and says less now."""
        producer = self._producer
        if producer is None:
            raise KafkaUnavailable("Kafka: the producer is not ready")
        try:
            producer.begin_transaction()
            for outgoing in waiting:
                outgoing.produce(producer)
            group = self._consumer.consumer_group_metadata()  # afresh: rebalances change it
            producer.send_offsets_to_transaction(_next_offsets(batch), group, 10)
            if finished(producer.commit_transaction, COMMIT_DEADLINE):
                self._producer = None  # a late answer may reach the next transaction (KIP-890)
            return True
        except KafkaException as error:
            self._give_up(producer, error.args[0])
            said_less = [outgoing.say_less() for outgoing in waiting]
            if True not in said_less:
                raise
            if self._producer is None:
                self._producer = self._started_producer()
            return False
        except BaseException:
            self._producer = None  # its transaction is open: the next producer aborts it
            raise

    def _give_up(self, producer: Producer, error: KafkaError) -> None:
        """Abort what can be aborted; anything else is left to a new producer."""
        self._producer = None
        self._count_fencing(error)
        if not error.txn_requires_abort():
            return
        try:
            if not finished(producer.abort_transaction, COMMIT_DEADLINE):
                self._producer = producer
        except KafkaException as failure:
            logger.warning("abort_failed", extra={"kafka_error": failure.args[0].name()})

    def _count_fencing(self, error: KafkaError) -> None:
        if error.code() not in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED):
            return
        now = monotonic()
        self._fenced_at = [at for at in self._fenced_at if now - at < FENCED_WITHIN] + [now]
        if len(self._fenced_at) >= FENCED_AT_MOST:
            fault = f"another process uses transactional id {self._transactional_id}"
            raise InvalidSettings([f"PUSH_TRANSACTIONAL_ID: {fault}"])

    def _started_producer(self) -> Producer:
        """Return a producer that has resolved whatever its predecessor left open."""
        producer = self._new_producer()
        finished(producer.init_transactions, COMMIT_DEADLINE)
        return producer

    def _rewind(self) -> None:
        """Read on from where the broker says we are, whatever became of the last transaction."""
        owned = {Place(p.topic, p.partition) for p in self._consumer.assignment()}
        ours = [TopicPartition(*place) for place in self._unsettled if place in owned]
        for place in self._consumer.committed(ours, 10) if ours else ():
            if place.error is not None:
                raise KafkaException(place.error)
            first = self._unsettled[Place(place.topic, place.partition)]
            offset = place.offset if place.offset >= 0 else first
            self._consumer.seek(TopicPartition(place.topic, place.partition, offset))
        self._unsettled.clear()

    def close(self) -> None:
        """Leave the group and abort what is open; see `EventStream`."""
        if self._joined is None:
            return
        try:
            self._joined.close()
        except (KafkaException, RuntimeError) as error:
            logger.warning("close_failed", extra={"error_type": type(error).__name__})


class _Outgoing:
    """A publication on its way. One refused for its size is tried alone, then says less.

    Alone, because a broker refuses a whole request: its neighbours must not lose their values.
    """

    def __init__(self, publication: Publication) -> None:
        self._publication = publication
        self._refused = False
        self._alone = False

    def produce(self, producer: Producer) -> None:
        """Hand the publication to the producer, waiting for room in its queue."""
        if self._alone:
            producer.flush(CALL)
        self._enqueue(producer)
        if self._alone:
            producer.flush(CALL)

    def _enqueue(self, producer: Producer) -> None:
        publication = self._publication
        # A callback doubles the price of a produce: only what could be too large has one.
        watch = self._on_delivery if publication.smaller else None
        deadline = monotonic() + COMMIT_DEADLINE
        while True:
            try:
                producer.produce(
                    publication.topic,
                    publication.value,
                    publication.key,
                    headers=list(publication.headers) or None,
                    on_delivery=watch,
                )
                return
            except BufferError:
                if monotonic() > deadline:
                    raise
                producer.poll(0.1)
            except KafkaException as error:
                self._refused = error.args[0].code() in TOO_LARGE
                raise

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        self._refused = error is not None and error.code() in TOO_LARGE

    def say_less(self) -> bool:
        """Get ready to be tried again after a refusal for size; False if there was none."""
        refused, self._refused = self._refused, False
        if not refused or self._publication.smaller is None:
            return False
        if self._alone:
            self._publication = self._publication.smaller
        self._alone = True
        return True


def _next_offsets(batch: Batch) -> list[TopicPartition]:
    ends = {(record.topic, record.partition): record.offset + 1 for record in batch.records}
    return [TopicPartition(topic, partition, end) for (topic, partition), end in ends.items()]


def _names(partitions: Sequence[TopicPartition]) -> list[str]:
    return [f"{p.topic}/{p.partition}" for p in partitions]
