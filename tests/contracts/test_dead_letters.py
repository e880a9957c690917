"""Each sentence of `DeadLetterTopic` and `Redriver`, in memory and on real Kafka."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest
from confluent_kafka import Producer

from consumer.kafka_letters import KafkaDeadLetters, KafkaRedriver
from consumer.letters.memory import MemoryDeadLetters, MemoryRedriver
from consumer.letters.ports import DeadLetterTopic, Redriver
from consumer.letters.reading import Position
from consumer.memory import MemoryTopics
from schemas.errors import Fatal, InvalidSettings, KafkaUnavailable
from schemas.records import Headers, Publication


class Broker(Protocol):
    """What a test needs of a broker, whichever it is."""

    topic: str
    back: str

    def put(self, value: bytes | None, *, partition: int = 0, headers: Headers = ()) -> None:
        """Add a record to the dead-letter topic, which has two partitions."""

    def letters(self) -> DeadLetterTopic:
        """Return its reader."""

    def redriver(self) -> Redriver:
        """Return a redriver of the one group."""

    def put_back(self) -> Sequence[tuple[int, bytes | None, bytes | None, Headers]]:
        """Return (partition, key, value, headers) of what a reader sees in `back`."""


class MemoryBroker:
    topic, back = "dead-letter", "in"

    def __init__(self) -> None:
        self._topics = MemoryTopics()

    def put(self, value: bytes | None, *, partition: int = 0, headers: Headers = ()) -> None:
        publication = Publication(
            topic=self.topic, key=b"key", value=value, headers=headers, partition=partition
        )
        self._topics.published.append(publication)

    def letters(self) -> DeadLetterTopic:
        return MemoryDeadLetters(self._topics, self.topic)

    def redriver(self) -> Redriver:
        return MemoryRedriver(self._topics, self.topic)

    def put_back(self) -> Sequence[tuple[int, bytes | None, bytes | None, Headers]]:
        logs = self._topics.records.values()
        return [(r.partition, r.key, r.value, r.headers) for log in logs for r in log]


class KafkaBroker:
    def __init__(self, kafka: Any) -> None:
        self._kafka = kafka
        self.topic, self.back = kafka.fresh_name("dead-letter"), kafka.fresh_name("in")
        self._id = kafka.fresh_name("redrive")
        kafka.create_topics({self.topic: 2, self.back: 4})

    def put(self, value: bytes | None, *, partition: int = 0, headers: Headers = ()) -> None:
        producer = Producer({"bootstrap.servers": self._kafka.bootstrap})
        producer.produce(self.topic, value, b"key", partition, headers=list(headers))
        producer.flush(10)

    def letters(self) -> DeadLetterTopic:
        return KafkaDeadLetters(self._kafka.bootstrap, {}, self.topic, "group")

    def redriver(self) -> Redriver:
        return KafkaRedriver(self._kafka.bootstrap, {}, self._id)

    def put_back(self) -> Sequence[tuple[int, bytes | None, bytes | None, Headers]]:
        return [
            (m.partition(), m.key(), m.value(), tuple(m.headers() or ()))
            for m in self._kafka.records(self.back)
        ]

    @contextmanager
    def open_transaction(self) -> Iterator[Producer]:
        """Hold a transaction open in the dead-letter topic, as a worker may."""
        properties = {
            "bootstrap.servers": self._kafka.bootstrap,
            "transactional.id": self._id + "-w",
        }
        producer = Producer(properties)
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(self.topic, b"open", partition=0)
        producer.flush(10)
        yield producer


@pytest.fixture(
    params=[
        pytest.param("memory", id="memory"),
        pytest.param("kafka", id="kafka", marks=pytest.mark.kafka),
    ]
)
def broker(request: pytest.FixtureRequest) -> Broker:
    if request.param == "memory":
        return MemoryBroker()
    return KafkaBroker(request.getfixturevalue("kafka"))


def values(topic: DeadLetterTopic, since: datetime | None = None) -> list[bytes | None]:
    return [record.value for record in topic.records(since)]


def a_mark(broker: Broker, value: bytes = b"mark") -> Publication:
    return Publication(topic=broker.topic, key=b"key", value=value, partition=0)


def back(broker: Broker, value: bytes, partition: int = 2) -> Publication:
    return Publication(
        topic=broker.back, key=b"k", value=value, partition=partition, headers=(("h", b"1"),)
    )


def test_a_topic_without_records_comes_to_its_end(broker: Broker) -> None:
    assert values(broker.letters()) == []


def test_records_come_in_order_with_key_value_and_headers(broker: Broker) -> None:
    broker.put(b"1", headers=(("a", b"b"), ("a", None)))
    broker.put(None)

    first, second = broker.letters().records()

    assert (first.topic, first.partition, first.offset) == (broker.topic, 0, 0)
    assert (first.key, first.value, first.headers) == (b"key", b"1", (("a", b"b"), ("a", None)))
    assert (second.offset, second.value) == (1, None)


def test_every_partition_is_read(broker: Broker) -> None:
    broker.put(b"1", partition=0)
    broker.put(b"2", partition=1)

    assert sorted(values(broker.letters())) == [b"1", b"2"]  # type: ignore[type-var]  # no null


def test_one_partition_is_read_from_an_offset_on(broker: Broker) -> None:
    for value in (b"1", b"2", b"3"):
        broker.put(value, partition=1)
    broker.put(b"other", partition=0)

    behind = broker.letters().records_from(Position(broker.topic, 1, 1))

    assert [record.value for record in behind] == [b"2", b"3"]


@pytest.mark.parametrize(("partition", "offset"), [(1, 9), (7, 0)], ids=["offset", "partition"])
def test_where_nothing_lies_nothing_is_read(broker: Broker, partition: int, offset: int) -> None:
    broker.put(b"1", partition=1)

    assert list(broker.letters().records_from(Position(broker.topic, partition, offset))) == []


def test_a_chunk_is_published_to_the_partitions_that_it_names(broker: Broker) -> None:
    redriver = broker.redriver()
    redriver.take_over()

    redriver.publish([back(broker, b"1"), a_mark(broker)])
    redriver.publish([back(broker, b"2")])

    assert list(broker.put_back()) == [
        (2, b"k", b"1", (("h", b"1"),)),
        (2, b"k", b"2", (("h", b"1"),)),
    ]
    assert values(broker.letters()) == [b"mark"]


def test_nobody_publishes_who_has_not_taken_over(broker: Broker) -> None:
    with pytest.raises(KafkaUnavailable):
        broker.redriver().publish([back(broker, b"1")])

    assert list(broker.put_back()) == []


# --- what only a real broker can do ---------------------------------------------------------------


@pytest.fixture
def real(kafka: Any) -> KafkaBroker:
    return KafkaBroker(kafka)


@pytest.mark.kafka
def test_whoever_takes_over_keeps_the_other_from_publishing(real: KafkaBroker) -> None:
    former, latter = real.redriver(), real.redriver()
    former.take_over()

    latter.take_over()

    with pytest.raises(Fatal, match="another redrive"):
        former.publish([back(real, b"former")])
    latter.publish([back(real, b"latter")])
    assert [value for _, _, value, _ in real.put_back()] == [b"latter"]


@pytest.mark.kafka
def test_a_chunk_for_a_partition_that_is_gone_is_not_published(real: KafkaBroker) -> None:
    redriver = real.redriver()
    redriver.take_over()

    with pytest.raises(Fatal, match="is not there any more"):
        redriver.publish([a_mark(real), back(real, b"1", partition=9)])

    assert values(real.letters()) == []


@pytest.mark.kafka
def test_what_lies_behind_an_open_transaction_is_waited_for(real: KafkaBroker) -> None:
    # Shown to fail on a reader that stops where a read_committed consumer says the end is: a mark
    # behind a worker's open transaction is missed, and its letter is put back a second time.
    redriver = real.redriver()
    redriver.take_over()
    with real.open_transaction() as worker:
        redriver.publish([a_mark(real)])
        reading = threading.Timer(1.0, worker.abort_transaction, (10.0,))
        reading.start()

        began = time.monotonic()
        seen = values(real.letters())

    reading.join()
    assert seen == [b"mark"]
    assert time.monotonic() - began >= 1.0


@pytest.mark.kafka
def test_what_was_written_before_a_time_is_left_out(real: KafkaBroker) -> None:
    real.put(b"before")
    since = datetime.now(UTC)
    _until_the_clock_has_moved_on(since)
    real.put(b"after")

    assert values(real.letters(), since) == [b"after"]
    assert values(real.letters(), datetime(2100, 1, 1, tzinfo=UTC)) == []


@pytest.mark.kafka
def test_a_topic_that_is_not_there_is_a_fault_of_the_settings(kafka: Any) -> None:
    reader = KafkaDeadLetters(kafka.bootstrap, {}, "no-such-topic", "group")

    with pytest.raises(InvalidSettings, match="PUSH_TOPIC_DEAD_LETTER: there is no topic"):
        list(reader.records())


def _until_the_clock_has_moved_on(since: datetime) -> None:
    while (datetime.now(UTC) - since).total_seconds() < 0.005:  # Kafka's times are milliseconds
        pass
