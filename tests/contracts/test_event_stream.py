"""Each sentence of `EventStream`'s promise, on the stream in memory and on real Kafka."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pytest
from confluent_kafka import Consumer, Producer

from consumer.kafka_clients import stream as kafka_stream
from consumer.memory import MemoryStream, MemoryTopics
from consumer.ports import EventStream
from schemas.errors import KafkaUnavailable
from schemas.records import Batch, Headers, Publication, Record

NOISE = random.Random(1).randbytes(1_200_000)  # nothing can compress it
PATIENCE = 30.0  # seconds a real broker may take for a group to form


class Broker(Protocol):
    """What a test needs of a broker, whichever it is."""

    topic: str
    out: str

    def put(self, value: bytes | None, *, key: bytes | None = None, headers: Headers = ()) -> None:
        """Add a record to the one partition of the input topic."""

    def stream(self, most: int = 100) -> EventStream:
        """Return a stream that goes on from what is settled."""

    def published(self) -> Sequence[tuple[bytes | None, bytes | None, Headers]]:
        """Return (key, value, headers) of all that a read_committed reader sees in `out`."""


class MemoryBroker:
    topic, out = "in", "out"

    def __init__(self, **_: Any) -> None:
        self._topics = MemoryTopics()

    def put(self, value: bytes | None, *, key: bytes | None = None, headers: Headers = ()) -> None:
        record = self._topics.append(self.topic, value, key=key)
        self._topics.records[record.place][-1] = record._replace(headers=headers)

    def stream(self, most: int = 100) -> EventStream:
        return MemoryStream(topics=self._topics, reads=[self.topic], most=most, largest=1_048_588)

    def published(self) -> Sequence[tuple[bytes | None, bytes | None, Headers]]:
        return [(p.key, p.value, p.headers) for p in self._topics.published]


class KafkaBroker:
    def __init__(self, kafka: Any) -> None:
        self._bootstrap = kafka.bootstrap
        self.topic, self.out = kafka.fresh_name("in"), kafka.fresh_name("out")
        self._group = kafka.fresh_name("group")
        kafka.create_topics({self.topic: 1})
        kafka.create_topics({self.out: 1}, config={"max.message.bytes": "1048588"})

    def put(self, value: bytes | None, *, key: bytes | None = None, headers: Headers = ()) -> None:
        limit = {"bootstrap.servers": self._bootstrap, "message.max.bytes": 2_000_000}
        producer = Producer(limit)
        producer.produce(self.topic, value, key, headers=list(headers))
        producer.flush(10)

    def stream(self, most: int = 100) -> EventStream:
        return kafka_stream(
            bootstrap_servers=self._bootstrap,
            properties={},
            group_id=self._group,
            transactional_id=self._group,
            topics=[self.topic],
            most=most,
        )

    def published(self) -> Sequence[tuple[bytes | None, bytes | None, Headers]]:
        reader = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": f"{self._group}-reader",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        reader.subscribe([self.out])
        seen: list[tuple[bytes | None, bytes | None, Headers]] = []
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            message = reader.poll(1.0)
            if message is None:
                continue
            if message.error():  # the end of the partition
                break
            headers: Any = tuple(message.headers() or ())
            seen.append((message.key(), message.value(), headers))
        reader.close()
        return seen


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> Broker:
    if request.param == "memory":
        return MemoryBroker()
    return KafkaBroker(request.getfixturevalue("kafka"))


@pytest.fixture
def opened(broker: Broker) -> Iterator[Callable[..., EventStream]]:
    streams: list[EventStream] = []

    def open_(most: int = 100) -> EventStream:
        streams.append(broker.stream(most))
        return streams[-1]

    yield open_
    for stream in streams:
        stream.close()


def collected(stream: EventStream, count: int = 1) -> list[Record]:
    """Collect until so many records came, each batch settled with nothing but the last."""
    records: list[Record] = []
    end = time.monotonic() + PATIENCE
    while len(records) < count and time.monotonic() < end:
        batch = stream.collect()
        records += batch.records
        if batch.records and len(records) < count:
            stream.settle(batch, [])
    return records


def values(records: Sequence[Record]) -> list[bytes | None]:
    return [record.value for record in records]


def published_values(broker: Broker) -> list[bytes | None]:
    return [value for _, value, _ in broker.published()]


def out(broker: Broker, value: bytes, **changes: Any) -> Publication:
    return Publication(topic=broker.out, key=None, value=value, **changes)


def test_what_waits_comes_in_order(broker: Broker, opened: Callable[..., EventStream]) -> None:
    for number in range(5):
        broker.put(b"%d" % number)

    records = collected(opened(), 5)

    assert values(records) == [b"0", b"1", b"2", b"3", b"4"]
    assert [record.offset for record in records] == [0, 1, 2, 3, 4]


def test_a_batch_holds_no_more_than_asked(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    for number in range(5):
        broker.put(b"%d" % number)

    assert len(collected(opened(most=2))) <= 2


def test_key_value_and_headers_come_as_they_were_written(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    broker.put(b"value", key=b"key", headers=(("a", b"1"), ("a", b"\xff"), ("b", None)))
    broker.put(None)

    written, empty = collected(opened(), 2)

    assert (written.key, written.value) == (b"key", b"value")
    assert written.headers == (("a", b"1"), ("a", b"\xff"), ("b", None))
    assert (empty.key, empty.value, empty.headers) == (None, None, ())


def test_what_is_settled_does_not_come_again(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    broker.put(b"1")
    first = opened()
    first.settle(Batch(tuple(collected(first))), [])
    first.close()
    broker.put(b"2")

    assert values(collected(opened())) == [b"2"]


def test_what_is_not_settled_comes_again_on_the_same_stream(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    broker.put(b"1")
    stream = opened()
    collected(stream)

    assert values(collected(stream)) == [b"1"]


def test_what_is_not_settled_comes_again_after_a_restart(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    broker.put(b"1")
    first = opened()
    collected(first)
    first.close()

    assert values(collected(opened())) == [b"1"]


def test_publications_are_seen_once_settled(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    broker.put(b"1")
    stream = opened()
    batch = Batch(tuple(collected(stream)))
    publication = Publication(
        topic=broker.out, key=b"k", value=b"v", headers=(("h", b"1"), ("none", None))
    )

    stream.settle(batch, [publication])

    assert broker.published() == [(b"k", b"v", (("h", b"1"), ("none", None)))]


def test_a_publication_too_large_for_the_broker_says_less_and_its_neighbours_do_not(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    broker.put(b"1")
    stream = opened()
    batch = Batch(tuple(collected(stream)))
    neighbour = out(broker, b"neighbour", smaller=out(broker, b"must not be"))
    large = out(broker, NOISE, smaller=out(broker, b"less"))

    stream.settle(batch, [neighbour, large, out(broker, b"plain")])

    assert sorted(filter(None, published_values(broker))) == [b"less", b"neighbour", b"plain"]


def test_a_publication_that_cannot_say_less_leaves_its_batch_unsettled(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    broker.put(b"1")
    stream = opened()
    batch = Batch(tuple(collected(stream)))

    with pytest.raises(KafkaUnavailable):
        stream.settle(batch, [out(broker, b"x"), out(broker, b"\xff\x01" * 6_000_000)])

    assert published_values(broker) == []
    assert values(collected(stream)) == [b"1"]
