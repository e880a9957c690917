"""A stand-in for Kafka for the demo alone: librdkafka's mock cluster, out of the client's wheel.

It starts in milliseconds and serves every client of this machine, but it keeps little and promises
nothing: no aborted record is hidden and no committed offset survives (kafka.md, section 7). It is
never used outside the demo. The cluster lives as long as the producer that made it.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Self

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    Message,
    Producer,
    TopicPartition,
)

from consumer.kafka_errors import kafka_errors
from schemas.errors import KafkaUnavailable
from schemas.records import Record

#: What clients must set to work with it quickly: a classic group waits three seconds here.
PROPERTIES = {"group.protocol": "consumer"}

_LOGGER = logging.getLogger("librdkafka")
_ASK = 10.0  # seconds


class DemoBroker:
    """One mock broker and its topics."""

    def __init__(self) -> None:
        self._producer = Producer(
            {"test.mock.num.brokers": 1, "linger.ms": 0, "bootstrap.servers": "mock"},
            logger=_LOGGER,
        )
        self.bootstrap_servers = ""

    @classmethod
    def start(cls, topics: Iterable[str]) -> Self:
        """Start it with these topics, or raise `KafkaUnavailable`."""
        broker = cls()
        with kafka_errors():
            brokers = broker._producer.list_topics(timeout=_ASK).brokers.values()
            for topic in topics:  # a producer's question makes a topic here; admin calls do not
                broker._producer.list_topics(topic, timeout=_ASK)
        broker.bootstrap_servers = ",".join(f"{each.host}:{each.port}" for each in brokers)
        return broker

    def publish(self, topic: str, key: bytes, value: bytes) -> Record:
        """Publish a record and return it as a reader will see it."""
        taken: list[Message] = []
        with kafka_errors():
            self._producer.produce(topic, value, key, on_delivery=_keep(taken))
            self._producer.flush(_ASK)
        if not taken:
            raise KafkaUnavailable("the demo's broker did not take a record")
        partition, offset = taken[0].partition() or 0, taken[0].offset() or 0
        return Record(topic, partition, offset, taken[0].timestamp()[1], key, value)

    def values(self, topic: str) -> list[bytes]:
        """Return the values that a topic holds; a null value comes as empty bytes."""
        reading = {
            "bootstrap.servers": self.bootstrap_servers,
            "group.id": "push-services-demo-reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
        consumer = Consumer(reading, logger=_LOGGER)
        try:
            with kafka_errors():
                return list(_read_all(consumer, topic))
        finally:
            consumer.close()


def _read_all(consumer: Consumer, topic: str) -> Iterator[bytes]:
    """Read every partition of a topic to its end."""
    partitions = consumer.list_topics(topic, timeout=_ASK).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    open_ends = set(partitions)
    end = monotonic() + _ASK
    while open_ends and monotonic() < end:
        message = consumer.poll(0.2)
        if message is None:
            continue
        error = message.error()
        if error is None:
            yield message.value() or b""
        elif error.code() == KafkaError._PARTITION_EOF:
            open_ends.discard(message.partition())
        else:
            raise KafkaUnavailable(f"the demo's broker: {error.name()}")


def _keep(taken: list[Message]) -> Callable[[KafkaError | None, Message], None]:
    def keep(error: KafkaError | None, message: Message) -> None:
        if error is None:
            taken.append(message)

    return keep
