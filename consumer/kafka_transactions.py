"""One producer and its transactions: publications and offsets become true together or not at all.

A producer is never used after a failure that it does not survive; a new one decides its
predecessor's transaction while it starts. Whether a failed transaction may nevertheless have been
committed is noted in `in_doubt`; nothing is guessed (kafka.md, sections 4 and 6).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, TypeAlias

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from consumer.kafka_calls import CALL, finished
from consumer.kafka_errors import FENCED, TOO_LARGE, Step, kafka_errors, step_after
from schemas.errors import InvalidSettings, KafkaUnavailable, PushError
from schemas.records import Place, Publication

logger = logging.getLogger(__name__)

COMMIT_DEADLINE = 15.0  # seconds; less than the transaction's timeout
FENCED_AT_MOST, FENCED_WITHIN = 3, 300.0  # times, seconds: then two processes share one id
BY_KEY = -1  # the partition is the key's
LAST_WORD = 3.0  # seconds to undo an open transaction when all is to end


#: Asks what a transaction must know of the group; late, since rebalances change it.
Group: TypeAlias = Callable[[], Any]
DeliveryReport: TypeAlias = Callable[[KafkaError | None, Message], None]


class Transactions:
    """Settles with one transactional id."""

    def __init__(
        self, new_producer: Callable[[], Producer], transactional_id: str, beat: Callable[[], None]
    ) -> None:
        """Make no producer yet; `beat` is called before each step that may take long."""
        self._new_producer = new_producer
        self._producer: Producer | None = None
        self._beat = beat
        self._fencings = Fencings(transactional_id)
        self._is_open = False  # a transaction was begun and not ended by its own producer
        self.in_doubt = False  # the last commit was asked for, and nobody knows what came of it

    def start(self) -> None:
        """Have a producer, which has decided whatever its predecessor left open."""
        if self._producer is None:
            self._beat()
            try:
                producer = self._new_producer()
                finished(producer.init_transactions, COMMIT_DEADLINE)
            except KafkaException as error:
                self._fencings.note(error.args[0], monotonic())
                raise
            self._producer, self._is_open = producer, False

    def settle(
        self,
        publications: Sequence[Publication],
        ends: Mapping[Place, int],
        group: Group,
    ) -> None:
        """Publish and mark in one transaction."""
        waiting = [each if each.smaller is None else _Outgoing(each) for each in publications]
        while not self._settled(waiting, ends, group):
            logger.warning("publication_too_large", extra={"limit": "of the broker"})

    def _settled(
        self, waiting: Sequence["Publication | _Outgoing"], ends: Mapping[Place, int], group: Group
    ) -> bool:
        """Try once; False where a publication was refused for its size and says less now."""
        producer = self._producer
        if producer is None:
            raise KafkaUnavailable("Kafka: the producer is not ready")
        try:
            self._commit(producer, waiting, ends, group)
            return True
        except KafkaException as error:
            self._give_up(producer, error.args[0])
            said_less = [each.say_less() for each in waiting if isinstance(each, _Outgoing)]
            if True not in said_less:
                raise
            self.start()
            return False
        except BaseException:
            self._producer = None  # its transaction is open: the next producer aborts it
            raise

    def _commit(
        self,
        producer: Producer,
        waiting: Sequence["Publication | _Outgoing"],
        ends: Mapping[Place, int],
        group: Group,
    ) -> None:
        self._beat()
        producer.begin_transaction()
        self._is_open = True
        for each in waiting:
            if isinstance(each, _Outgoing):
                each.produce(producer)
            else:
                _enqueue(producer, each)
        offsets = [TopicPartition(*place, end) for place, end in ends.items()]
        self._beat()
        producer.send_offsets_to_transaction(offsets, group(), 10)
        self._beat()
        self.in_doubt = True
        took_more = finished(producer.commit_transaction, COMMIT_DEADLINE)
        self.in_doubt = self._is_open = False
        if took_more:
            self._producer = None  # a late answer may reach the next transaction (KIP-890)

    def _give_up(self, producer: Producer, error: KafkaError) -> None:
        """Abort what can be aborted; anything else is left to a new producer."""
        self._producer = None
        self._fencings.note(error, monotonic())
        if step_after(error) is not Step.ABORT:
            return
        self._beat()
        try:
            took_more = finished(producer.abort_transaction, COMMIT_DEADLINE)
        except KafkaException as failure:
            logger.warning("abort_failed", extra={"kafka_error": failure.args[0].name()})
            return
        self.in_doubt = self._is_open = False
        if not took_more:
            self._producer = producer

    def close(self) -> None:
        """Undo what is open, so that no successor waits for it to time out."""
        if not self._is_open:
            return
        try:
            with kafka_errors():
                finished(self._new_producer().init_transactions, LAST_WORD)
        except PushError as error:
            logger.warning("abort_failed", extra={"detail": str(error)})


class Fencings:
    """Counts how often another process with our transactional id has shut us out."""

    def __init__(self, transactional_id: str) -> None:
        self._transactional_id = transactional_id
        self._at: list[float] = []  # seconds of any clock that only goes forward

    def note(self, error: KafkaError, now: float) -> None:
        """Count an error if it is one; raise `InvalidSettings` where fencing back is of no use."""
        if error.code() not in FENCED:
            return
        self._at = [at for at in self._at if now - at < FENCED_WITHIN] + [now]
        if len(self._at) >= FENCED_AT_MOST:
            fault = f"another process uses transactional id {self._transactional_id}"
            raise InvalidSettings([f"PUSH_TRANSACTIONAL_ID: {fault}"])


class _Outgoing:
    """A publication that could be too large. Refused for its size, it is tried alone, then less.

    Alone, because a broker refuses a whole request: its neighbours must not lose their values.
    """

    __slots__ = ("_alone", "_publication", "_refused")

    def __init__(self, publication: Publication) -> None:
        self._publication = publication
        self._refused = False
        self._alone = False

    def produce(self, producer: Producer) -> None:
        """Hand the publication to the producer, waiting for room in its queue."""
        if self._alone:
            producer.flush(CALL)
        try:
            # A callback doubles the price of a produce: only what could be too large has one.
            _enqueue(producer, self._publication, self._on_delivery)
        except KafkaException as error:
            self._refused = error.args[0].code() in TOO_LARGE
            raise
        if self._alone:
            producer.flush(CALL)

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


def _enqueue(
    producer: Producer, publication: Publication, watch: DeliveryReport | None = None
) -> None:
    """Hand a publication to the producer, waiting for room in its queue."""
    topic, key, value, headers, _, partition = publication
    deadline: float | None = None
    while True:
        try:
            producer.produce(
                topic,
                value,
                key,
                BY_KEY if partition is None else partition,
                watch,
                headers=list(headers) if headers else None,
            )
            return
        except BufferError:
            now = monotonic()
            deadline = now + COMMIT_DEADLINE if deadline is None else deadline
            if now > deadline:
                raise
            producer.poll(0.1)
