"""Each sentence of `EventStream`'s promise, on the stream in memory and on real Kafka."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Protocol, cast

import pytest
from confluent_kafka import Producer

from consumer.kafka_clients import Brokers, Memory
from consumer.kafka_clients import stream as kafka_stream
from consumer.memory import MemoryStream, MemoryTopics
from consumer.ports import EventStream
from consumer.registry import PublishedSchemas
from consumer.repeats import Repeats
from schemas.codec import Codec
from schemas.errors import KafkaUnavailable
from schemas.records import Batch, Headers, Lost, Place, Publication, Record
from schemas.repeats import key_of, value_of
from tests.real.kafka import Kafka

WINDOW = timedelta(days=7)
NOISE = random.Random(1).randbytes(1_200_000)  # nothing can compress it
PATIENCE = 30.0  # seconds a real broker may take for a group to form


class Broker(Protocol):
    """What a test needs of a broker, whichever it is."""

    topic: str
    out: str
    repeats: str

    def put(self, value: bytes | None, *, key: bytes | None = None, headers: Headers = ()) -> None:
        """Add a record to the one partition of the input topic."""

    def stream(self, copy: Repeats, most: int = 100) -> EventStream:
        """Return a stream that goes on from what is settled and restores what was remembered."""

    def published(self) -> Sequence[tuple[bytes | None, bytes | None, Headers]]:
        """Return (key, value, headers) of all that a read_committed reader sees in `out`."""

    def drop_before(self, offset: int) -> None:
        """Let retention take the input's records before an offset."""


class MemoryBroker:
    topic, out, repeats = "in", "out", "repeats"

    def __init__(self, **_: Any) -> None:
        self._topics = MemoryTopics()

    def put(self, value: bytes | None, *, key: bytes | None = None, headers: Headers = ()) -> None:
        self._topics.append(self.topic, value, key=key, headers=headers)

    def stream(self, copy: Repeats, most: int = 100) -> EventStream:
        return MemoryStream(
            topics=self._topics,
            reads=[self.topic],
            most=most,
            largest=1_048_588,
            repeats=self.repeats,
            copy=copy,
        )

    def published(self) -> Sequence[tuple[bytes | None, bytes | None, Headers]]:
        return [(p.key, p.value, p.headers) for p in self._topics.published if p.topic == self.out]

    def drop_before(self, offset: int) -> None:
        self._topics.kept_from[Place(self.topic, 0)] = offset


class KafkaBroker:
    def __init__(self, kafka: Kafka, properties: Mapping[str, str]) -> None:
        self._kafka, self._properties = kafka, properties
        self.topic, self.out = kafka.fresh_name("in"), kafka.fresh_name("out")
        self.repeats, self._evaluation = kafka.fresh_name("repeats"), kafka.fresh_name("evaluation")
        self._group = kafka.fresh_name("group")
        kafka.create_topics({self.topic: 1, self._evaluation: 1})
        kafka.create_topics({self.out: 1}, config={"max.message.bytes": "1048588"})

    def put(self, value: bytes | None, *, key: bytes | None = None, headers: Headers = ()) -> None:
        limit = {"bootstrap.servers": self._kafka.bootstrap, "message.max.bytes": 2_000_000}
        producer = Producer(limit)
        producer.produce(self.topic, value, key, headers=list(headers))
        producer.flush(10)

    def stream(self, copy: Repeats, most: int = 100) -> EventStream:
        return kafka_stream(
            Brokers(self._kafka.bootstrap, self._properties),
            group_id=self._group,
            transactional_id=self._group,
            topics=[self.topic],
            most=most,
            memory=Memory(
                copy=copy,
                repeats=self.repeats,
                evaluation=self._evaluation,
                read_evaluation=Codec(PublishedSchemas()).decode_evaluation,
                window=WINDOW,
                limit=1_000,
            ),
        )

    def published(self) -> Sequence[tuple[bytes | None, bytes | None, Headers]]:
        return [
            (seen.key(), seen.value(), cast(Headers, tuple(seen.headers() or ())))
            for seen in self._kafka.records(self.out)
        ]

    def drop_before(self, offset: int) -> None:
        self._kafka.delete_records_before(self.topic, offset)


BROKERS = [
    "memory",
    pytest.param("classic", marks=pytest.mark.kafka),
    pytest.param("consumer", marks=pytest.mark.kafka),
]


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> Broker:
    if request.param == "memory":
        return MemoryBroker()
    properties = {"group.protocol": request.param}
    return KafkaBroker(request.getfixturevalue("kafka"), properties)


@pytest.fixture
def opened(broker: Broker) -> Iterator[Callable[..., EventStream]]:
    streams: list[EventStream] = []

    def open_(most: int = 100, copy: Repeats | None = None) -> EventStream:
        streams.append(broker.stream(copy or Repeats(WINDOW, 1_000), most))
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
        assert not batch.lost
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


def three_together(broker: Broker, stream: EventStream) -> Sequence[Batch]:
    """Return three records that were collected at once, each as a part of its own."""
    for number in range(3):
        broker.put(b"%d" % number)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        batch = stream.collect()
        if len(batch.records) == 3:
            return batch.parts(1)
    raise TimeoutError("the three did not come together")


def test_what_was_collected_at_once_may_be_settled_in_parts(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    stream = opened()

    for part in three_together(broker, stream):
        stream.settle(part, [out(broker, part.records[0].value or b"")])
    broker.put(b"next")

    assert values(collected(stream)) == [b"next"]
    assert published_values(broker) == [b"0", b"1", b"2"]


def test_parts_that_were_not_settled_come_again(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    # Failed when the first part that was settled stood for all: the others were stepped over.
    stream = opened()
    first, *_ = three_together(broker, stream)

    stream.settle(first, [out(broker, b"0")])

    assert values(collected(stream, 2)) == [b"1", b"2"]


def test_after_a_part_that_failed_all_from_it_on_come_again(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    stream = opened()
    first, second, _ = three_together(broker, stream)
    stream.settle(first, [out(broker, b"0")])

    with pytest.raises(KafkaUnavailable):
        stream.settle(second, [out(broker, b"x"), out(broker, b"\xff\x01" * 6_000_000)])

    assert published_values(broker) == [b"0"]
    assert values(collected(stream, 2)) == [b"1", b"2"]


def test_behind_a_part_that_failed_nothing_is_settled(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    # Failed where the failed one had been undone cleanly: the next marked offsets behind it.
    stream = opened()
    first, second, _ = three_together(broker, stream)
    with pytest.raises(KafkaUnavailable):
        stream.settle(first, [out(broker, b"x"), out(broker, b"\xff\x01" * 6_000_000)])

    with pytest.raises(KafkaUnavailable):
        stream.settle(second, [out(broker, b"1")])

    assert published_values(broker) == []
    assert values(collected(stream, 3)) == [b"0", b"1", b"2"]


def test_after_a_restart_parts_that_were_not_settled_come_again(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    first = opened()
    part, *_ = three_together(broker, first)
    first.settle(part, [out(broker, b"0")])
    first.close()

    assert values(collected(opened(), 2)) == [b"1", b"2"]


def test_a_part_may_be_settled_on_another_thread(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    stream = opened()

    with ThreadPoolExecutor(1) as beside:
        for part in three_together(broker, stream):
            beside.submit(stream.settle, part, [out(broker, b"x")]).result(PATIENCE)

    assert published_values(broker) == [b"x"] * 3


def next_batch(stream: EventStream) -> Batch:
    """Return the next batch that holds anything, not settled."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        batch = stream.collect()
        if not batch.is_empty:
            return batch
    raise TimeoutError("nothing was collected")


def an_id(broker: Broker, identity: str, offset: int) -> Publication:
    key = key_of(broker.topic, "m-10482", identity)
    return Publication(topic=broker.repeats, key=key, value=value_of(offset, 1_000), partition=0)


def knows(broker: Broker, copy: Repeats, identity: str) -> int | None:
    return copy.first_offset(Place(broker.topic, 0), key_of(broker.topic, "m-10482", identity), 1)


def test_ids_settled_by_a_predecessor_are_restored_before_any_record_is_read(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    # Failed when records were handed out before their partition was taken over.
    broker.put(b"1")
    first = opened()
    first.settle(next_batch(first), [an_id(broker, "a", 0)])
    first.close()
    broker.put(b"2")
    copy = Repeats(WINDOW, 1_000)

    records = next_batch(opened(copy=copy)).records

    assert values(records) == [b"2"]
    assert (knows(broker, copy, "a"), knows(broker, copy, "b")) == (0, None)


def test_ids_of_a_batch_that_was_not_settled_are_known_to_nobody(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    # Failed when the topic was read read_uncommitted.
    broker.put(b"1")
    first = opened()
    with pytest.raises(KafkaUnavailable):
        first.settle(
            next_batch(first), [an_id(broker, "a", 0), out(broker, b"\xff\x01" * 6_000_000)]
        )
    first.close()
    copy = Repeats(WINDOW, 1_000)

    assert values(next_batch(opened(copy=copy)).records) == [b"1"]
    assert knows(broker, copy, "a") is None


def test_what_retention_took_is_told_as_lost_and_what_is_left_goes_on(
    broker: Broker, opened: Callable[..., EventStream]
) -> None:
    broker.put(b"0")
    first = opened()
    first.settle(next_batch(first), [])
    first.close()
    for number in range(1, 5):
        broker.put(b"%d" % number)
    broker.drop_before(3)
    stream = opened()

    told = next_batch(stream)
    again = next_batch(stream)  # it was not settled
    stream.settle(again, [])
    left = list(again.records) or collected(stream)

    assert told.lost == again.lost == (Lost(broker.topic, 0, 1, 2),)
    assert left[0].value == b"3"


def test_what_was_lost_is_told_once(broker: Broker, opened: Callable[..., EventStream]) -> None:
    broker.put(b"0")
    first = opened()
    first.settle(next_batch(first), [])
    first.close()
    broker.put(b"1")
    broker.put(b"2")
    broker.drop_before(2)
    second = opened()
    second.settle(next_batch(second), [])
    second.close()
    broker.put(b"3")

    batch = next_batch(opened())

    assert batch.lost == ()
    assert batch.records[-1].value in (b"2", b"3")
