"""Making Kafka clients out of settings, and the stream out of its parts."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from consumer.kafka import KafkaStream
from consumer.kafka_questions import KafkaQuestions
from consumer.kafka_reading import Reading
from consumer.kafka_settings import (
    OWNED,
    client_properties,
    consumer_properties,
    producer_properties,
    reader_properties,
)
from consumer.kafka_topics import RepeatsTopic
from consumer.kafka_transactions import Transactions
from consumer.ports import Copy, Nothing
from consumer.restorer import Restorer
from consumer.restoring import DOUBTED_FOR, Restoring, Start
from schemas.plans import Evaluation
from schemas.records import Place

client_logger = logging.getLogger("librdkafka")


@dataclass(frozen=True, slots=True)
class Brokers:
    """Where Kafka is and how clients reach it; the properties must be without faults."""

    bootstrap_servers: str
    properties: Mapping[str, str]

    def admin(self) -> AdminClient:
        """Return a client for questions about topics; it must outlive its answers."""
        properties = client_properties(self.bootstrap_servers, self.properties)
        return AdminClient(properties, logger=client_logger)

    def consumer(self, group_id: str) -> Consumer:
        """Return a consumer that joins a group."""
        properties = consumer_properties(self.bootstrap_servers, group_id, self.properties)
        return Consumer(properties, logger=client_logger)

    def reader(self, group_id: str) -> Consumer:
        """Return a consumer that is told what to read, and may ask for the group's offsets."""
        properties = reader_properties(self.bootstrap_servers, group_id, self.properties)
        return Consumer(properties, logger=client_logger)

    def producer(self, transactional_id: str) -> Producer:
        """Return a producer whose transactions are not initialised yet."""
        properties = producer_properties(self.bootstrap_servers, transactional_id, self.properties)
        return Producer(properties, logger=client_logger)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a stream restores of each partition before it reads it, and where that is kept."""

    copy: Copy
    repeats: str  #: topic of the settled ids
    evaluation: str  #: topic that knows which partitions were read before, and how far
    read_evaluation: Callable[[bytes | None], Evaluation]
    window: timedelta
    limit: int  #: most ids that are of use
    start: Start | None = None  #: where to go on if a partition's place is lost
    doubted_for: float = DOUBTED_FOR  #: seconds of a place before what is settled


def stream(
    brokers: Brokers,
    *,
    group_id: str,
    transactional_id: str,
    topics: Sequence[str],
    most: int,
    wait: float = 0.0,
    ahead: int = 0,
    memory: Memory | None = None,
    beat: Callable[[], None] = lambda: None,
) -> KafkaStream:
    """Return a stream that has not asked any broker yet.

    A batch is full with `most` records or after `wait` seconds; where it is full, what waits
    already is collected with it, up to `ahead` records in all. `beat` is called before each step
    that may take long.
    """
    questions = _questions(brokers, group_id, memory)
    reached: dict[Place, int] = {}
    restoring = Restoring(
        questions,
        limit=memory.limit if memory else 0,
        start=memory.start if memory else None,
        remembers=memory is not None,
        reached=reached,
        doubted_for=memory.doubted_for if memory else DOUBTED_FOR,
    )
    reading = Reading(
        lambda: brokers.consumer(group_id),
        topics,
        Restorer(restoring.take_over, questions.close),
        memory.copy if memory else Nothing(),
        reached,
        most=most,
        wait=wait,
        ahead=ahead,
    )
    transactions = Transactions(lambda: brokers.producer(transactional_id), transactional_id, beat)
    return KafkaStream(reading, transactions)


def _questions(brokers: Brokers, group_id: str, memory: Memory | None) -> KafkaQuestions:
    def new_reader() -> Consumer:
        return brokers.reader(group_id)

    if memory is None:
        return KafkaQuestions(new_reader, brokers.admin)
    topic = RepeatsTopic(brokers.admin, brokers.bootstrap_servers, memory.repeats, memory.window)
    return KafkaQuestions(
        new_reader,
        brokers.admin,
        repeats=memory.repeats,
        evaluation=memory.evaluation,
        read_evaluation=memory.read_evaluation,
        widen=topic.widen,
    )


def faults_in(properties: Mapping[str, str]) -> list[str]:
    """Return what librdkafka says against these properties, of several faults the first.

    Clients are made of all of them together, since some need each other; no broker is asked.
    """
    owned = [f"{name}: not to be set; {OWNED[name]}" for name in properties if name in OWNED]
    if owned:
        return owned
    reading = consumer_properties("localhost:1", "check", properties)
    writing = producer_properties("localhost:1", "check", properties)
    try:
        Consumer(reading, logger=client_logger).close()
        Producer(writing, logger=client_logger)
    except KafkaException as error:
        return [_complaint(error)]
    return []


def _complaint(error: KafkaException) -> str:
    return str(error.args[0].str())
