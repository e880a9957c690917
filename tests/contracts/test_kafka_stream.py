"""What `KafkaStream` promises beyond the port: take-overs, rebalances, doubt, fencing.

A wrapper fails where a broker cannot be told to. Each test names the bug that it was seen to catch.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from consumer.kafka import KafkaStream
from consumer.kafka_clients import Brokers, Memory, stream
from consumer.kafka_topics import RepeatsTopic
from consumer.registry import PublishedSchemas
from consumer.repeats import Repeats
from consumer.restoring import Start
from schemas.codec import Codec, encode_evaluation
from schemas.errors import InvalidSettings, KafkaUnavailable, OffsetsLost
from schemas.framing import single_object_prefix
from schemas.plans import Evaluation
from schemas.published import EVALUATION, published
from schemas.records import Batch, Lost, Place, Publication, Record
from schemas.repeats import SettledId, key_of, value_of
from schemas.vocabulary import Generation, Outcome
from tests.real.kafka import Kafka
from tests.real.waiting import wait_until

pytestmark = pytest.mark.kafka

WINDOW = timedelta(days=7)
PATIENCE = 40.0  # seconds for whatever a broker takes its time for
A_WHILE = 3.0  # seconds in which a take-over that does not wait would have ended
PROTOCOLS = ["classic", "consumer"]


@dataclass
class House:
    """Topics and a group of one test."""

    kafka: Kafka
    properties: Mapping[str, str] = field(default_factory=dict)
    partitions: int = 2
    opened: list[KafkaStream] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.topic, self.repeats = self.kafka.fresh_name("in"), self.kafka.fresh_name("repeats")
        self.out, self.evaluation = (
            self.kafka.fresh_name("out"),
            self.kafka.fresh_name("evaluation"),
        )
        self.group = self.kafka.fresh_name("group")
        self.kafka.create_topics({self.topic: self.partitions, self.repeats: self.partitions})
        self.kafka.create_topics({self.out: 1, self.evaluation: 1})

    def put(
        self, value: bytes, partition: int = 0, topic: str | None = None, key: bytes | None = None
    ) -> None:
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap})
        producer.produce(topic or self.topic, value, key, partition)
        producer.flush(10)

    def open(
        self,
        copy: Repeats | None = None,
        *,
        name: str = "id",
        start: Start | None = None,
        brokers: type[Brokers] = Brokers,
        most: int = 100,
        ahead: int = 0,
    ) -> KafkaStream:
        self.opened.append(
            stream(
                brokers(self.kafka.bootstrap, self.properties),
                group_id=self.group,
                transactional_id=f"{self.group}-{name}",
                topics=[self.topic],
                most=most,
                ahead=ahead,
                memory=Memory(
                    copy=copy or a_copy(),
                    repeats=self.repeats,
                    evaluation=self.evaluation,
                    read_evaluation=Codec(PublishedSchemas()).decode_evaluation,
                    window=WINDOW,
                    limit=1_000,
                    start=start,
                    doubted_for=1.0,
                ),
            )
        )
        return self.opened[-1]

    def an_id(self, identity: str, offset: int, partition: int = 0) -> Publication:
        place = Place(self.topic, partition)
        return self.publication(SettledId(place, self.key(identity), offset, 1_000))

    def publication(self, settled: SettledId) -> Publication:
        place, key, offset, at = settled
        value = value_of(offset, at)
        return Publication(topic=self.repeats, key=key, value=value, partition=place.partition)

    def evaluated(self, first: int, last: int, partition: int = 0) -> Publication:
        evaluation = Evaluation(
            topic=self.topic,
            partition=partition,
            first_offset=first,
            last_offset=last,
            rules_generation=Generation(1),
            engine_version="1",
            decided_at=datetime(2026, 12, 1, tzinfo=UTC),
            outcomes={Outcome.NO_MATCH: last - first + 1},
        )
        prefix = single_object_prefix(published(EVALUATION).fingerprint)
        key = f"{self.topic}/{partition}".encode()
        return Publication(self.evaluation, key, encode_evaluation(evaluation, prefix))

    def key(self, identity: str) -> bytes:
        return key_of(self.topic, "m-1", identity)

    def knows(self, copy: Repeats, identity: str, partition: int = 0) -> int | None:
        return copy.first_offset(Place(self.topic, partition), self.key(identity), 1)

    def begin(self, identity: str, offset: int, *, name: str, ends: int | None = None) -> Producer:
        """Begin another process' transaction that remembers an id, and leave it open."""
        producer = Producer(
            {
                "bootstrap.servers": self.kafka.bootstrap,
                "transactional.id": f"{self.group}-{name}",
                "transaction.timeout.ms": 60_000,
            }
        )
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(self.repeats, value_of(offset, 1_000), self.key(identity), partition=0)
        producer.flush(10)
        if ends is not None:
            asking = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": self.group})
            group = asking.consumer_group_metadata()
            place = TopicPartition(self.topic, 0, ends)
            producer.send_offsets_to_transaction([place], group, 10)
            asking.close()
        return producer


def a_copy() -> Repeats:
    return Repeats(WINDOW, 1_000)


@pytest.fixture(params=PROTOCOLS)
def house(request: pytest.FixtureRequest, kafka: Kafka) -> Iterator[House]:
    yield from opened_house(House(kafka, {"group.protocol": request.param}))


@pytest.fixture
def classic_house(kafka: Kafka) -> Iterator[House]:
    yield from opened_house(House(kafka))


def opened_house(house: House) -> Iterator[House]:
    yield house
    for each in house.opened:
        each.close()


def collected(*streams: KafkaStream, until: Callable[[list[Record]], bool]) -> list[Record]:
    """Collect from all in turn, settling each batch, until it is enough."""
    records: list[Record] = []
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for each in streams:
            records += settled_by(each)
        if until(records):
            return records
    raise TimeoutError(f"collected {len(records)} records, and that was not enough")


def settled_by(each: KafkaStream, out: str | None = None) -> tuple[Record, ...]:
    """Collect and settle once as the loop does, and return what was settled for certain.

    The group may move on between the two, also without any fault: then it all comes again. What is
    settled is published to `out` where one is given.
    """
    try:
        batch = each.collect()
        if not batch.is_empty:
            each.settle(batch, [Publication(out, None, r.value) for r in batch.records if out])
    except KafkaUnavailable:
        return ()
    return batch.records


def settle_everything(house: House, each: KafkaStream) -> None:
    """Let a stream settle until nothing is left, by the broker's word."""

    def nothing_is_left() -> bool:
        settled_by(each, house.out)
        ends = house.kafka.ends(house.topic)
        return house.kafka.committed(house.group, house.topic) == ends

    wait_until(nothing_is_left, "everything is settled", PATIENCE)


def collected_for(seconds: float, *streams: KafkaStream) -> list[Record]:
    end = time.monotonic() + seconds
    return collected(*streams, until=lambda _: time.monotonic() > end)


@contextmanager
def written_all_the_while(kafka: Kafka, topics: Sequence[str]) -> Iterator[None]:
    """Let another thread write to topics without a pause."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 0})
    begun, over = threading.Event(), threading.Event()

    def write() -> None:
        while not over.is_set():
            for topic in topics:
                producer.produce(topic, b"another's", b"another's", 0)
            producer.flush(10)
            begun.set()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    begun.wait(PATIENCE)
    try:
        yield
    finally:
        over.set()
        writer.join(PATIENCE)


def next_batch(each: KafkaStream) -> Batch:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        batch = each.collect()
        if not batch.is_empty:
            return batch
    raise TimeoutError("nothing was collected")


def collected_together(each: KafkaStream, count: int) -> Batch:
    """Return a collection of so many records; smaller ones before it are not settled."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        batch = each.collect()
        if len(batch.records) == count:
            return batch
    raise TimeoutError(f"{count} records did not come together")


def holding(count: int) -> Callable[[list[Record]], bool]:
    return lambda records: len(records) >= count


def values_of(messages: Sequence[Message]) -> list[bytes]:
    return sorted(filter(None, (message.value() for message in messages)))


def values(records: list[Record]) -> list[bytes]:
    return sorted(filter(None, (record.value for record in records)))


# --- taking over ----------------------------------------------------------------------------------


def test_an_open_transaction_of_a_predecessor_holds_up_its_partition_and_no_other(
    house: House,
) -> None:
    # Failed when the offset was asked for as a read_uncommitted reader sees it (the record came
    # again), and when the take-over ran on the loop's own thread (the other partition waited too).
    house.put(b"settled by the predecessor", 0)
    house.put(b"next", 0)
    house.put(b"elsewhere", 1)
    predecessor = house.begin("a", 0, name="predecessor", ends=1)
    copy = a_copy()
    successor = house.open(copy)

    meanwhile = collected(successor, until=holding(1))
    meanwhile += collected_for(A_WHILE, successor)
    predecessor.commit_transaction(30)
    afterwards = collected(successor, until=holding(1))

    assert values(meanwhile) == [b"elsewhere"]
    assert values(afterwards) == [b"next"]
    assert house.knows(copy, "a") == 0


def test_ids_whose_transaction_is_still_being_decided_are_waited_for(classic_house: House) -> None:
    # Failed when the topic's end was asked for with READ_COMMITTED: that is the last stable offset,
    # and it lies before the id.
    house = classic_house
    house.put(b"before", 0)
    house.put(b"before", 1)
    predecessor = house.open(name="predecessor")
    collected(predecessor, until=holding(2))
    predecessor.close()
    house.put(b"next", 0)
    other = house.begin("b", 7, name="other")
    copy = a_copy()
    successor = house.open(copy)

    meanwhile = collected_for(2 * A_WHILE, successor)
    other.commit_transaction(30)
    afterwards = collected(successor, until=holding(1))

    assert (values(meanwhile), values(afterwards)) == ([], [b"next"])
    assert house.knows(copy, "b") == 7


class NeverAtAnEnd:
    """A reader that is never told of an end, as where others write faster than it asks."""

    def __init__(self, reader: Consumer) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def consume(self, *arguments: Any) -> list[Message]:
        return [m for m in self._reader.consume(*arguments) if m.error() is None]


class BusyBrokers(Brokers):
    def reader(self, group_id: str) -> Any:
        return NeverAtAnEnd(super().reader(group_id))


def test_topics_that_others_write_without_a_pause_hold_up_no_take_over(
    classic_house: House,
) -> None:
    # Failed when nothing but the word that a partition is at its end counted: of one that grows
    # without a pause nobody says it, and a new worker waited for ever while the others were busy.
    house = classic_house
    house.put(b"next")

    with written_all_the_while(house.kafka, [house.evaluation, house.repeats]):
        taken_over = collected(house.open(brokers=BusyBrokers), until=holding(1))

    assert values(taken_over) == [b"next"]


def test_a_partition_that_moves_takes_its_ids_along(house: House) -> None:
    # Failed when a revoked partition's ids were kept: they would miss what its new owner settles.
    house.put(b"0", 0)
    house.put(b"1", 1)
    first_copy, second_copy = a_copy(), a_copy()
    first = house.open(first_copy, name="first")
    while first_copy.count < 2:
        batch = first.collect()
        ids = [
            SettledId(r.place, house.key(f"id-{r.partition}"), r.offset, 1) for r in batch.records
        ]
        if not batch.is_empty:
            first.settle(batch, [house.publication(each) for each in ids])
            first_copy.enter(ids)
    second = house.open(second_copy, name="second")

    collected(first, second, until=lambda _: second_copy.count == first_copy.count == 1)

    moved = 0 if house.knows(second_copy, "id-0", 0) is not None else 1
    assert house.knows(second_copy, f"id-{moved}", moved) == 0
    assert house.knows(first_copy, f"id-{moved}", moved) is None
    assert house.knows(first_copy, f"id-{1 - moved}", 1 - moved) == 0


def test_records_are_settled_once_while_partitions_come_and_go(house: House) -> None:
    # Failed when a partition taken over was read from its beginning: records were settled again.
    first = house.open(name="first")
    for number in range(20):
        house.put(b"%d" % number, number % 2)
    settle_everything(house, first)

    second = house.open(name="second")
    for number in range(20, 40):
        house.put(b"%d" % number, number % 2)
        settled_by(first, house.out)
        settled_by(second, house.out)
    first.close()
    for number in range(40, 50):
        house.put(b"%d" % number, number % 2)
    settle_everything(house, second)

    published = (int(record.value() or b"") for record in house.kafka.records(house.out))
    assert sorted(published) == list(range(50))


def settled_in_order(house: House, count: int) -> None:
    """Settle so many records of one partition, each remembered and evaluated, and leave."""
    for number in range(count):
        house.put(b"%d" % number)
    reading = house.open()
    while sum(house.kafka.committed(house.group, house.topic).values()) < count:
        for part in reading.collect().parts(1):
            (offset,) = (record.offset for record in part.records)
            reading.settle(
                part, [house.an_id(f"id-{offset}", offset), house.evaluated(offset, offset)]
            )
    house.opened.pop().close()


def test_a_committed_place_before_what_is_settled_is_not_believed(
    classic_house: House, caplog: pytest.LogCaptureFixture
) -> None:
    # Failed when it was: a broker that had forgotten it made a worker evaluate all once more.
    house, copy = classic_house, a_copy()
    settled_in_order(house, 3)
    house.put(b"next")
    house.kafka.commit(house.group, house.topic, {0: 1})

    records = collected(house.open(copy), until=holding(1))

    assert values(records) == [b"next"]
    (told,) = [r for r in caplog.records if r.getMessage() == "place_not_believed"]
    assert (vars(told)["offset"], vars(told)["committed"]) == (3, 1)


def test_an_evaluation_that_nobody_can_read_tells_nothing(classic_house: House) -> None:
    house = classic_house
    settled_in_order(house, 2)
    house.put(b"\x00", topic=house.evaluation, key=f"{house.topic}/0".encode())
    house.put(b"next")
    house.kafka.commit(house.group, house.topic, {0: 0})

    assert values(collected(house.open(), until=holding(1))) == [b"next"]


def test_who_wants_to_go_back_says_so_and_what_was_settled_is_known(classic_house: House) -> None:
    house, copy = classic_house, a_copy()
    settled_in_order(house, 3)
    house.kafka.commit(house.group, house.topic, {0: 1})

    records = collected(house.open(copy, start=Start("committed")), until=holding(2))

    assert values(records) == [b"1", b"2"]
    assert house.knows(copy, "id-1") == 1


# --- places that are lost -------------------------------------------------------------------------


def test_a_partition_that_was_evaluated_before_stops_until_an_operator_says_where(
    classic_house: House,
) -> None:
    # Failed when a missing offset alone meant the earliest: fourteen days would be mailed again.
    house = classic_house
    house.put(b"0")
    house.put(b"1")
    house.put(b"", topic=house.evaluation, key=f"{house.topic}/0".encode())

    with pytest.raises(OffsetsLost, match=f"{house.topic}/0"):
        collected(house.open(), until=holding(1))

    house.opened.pop().close()
    assert values(collected(house.open(start=Start("offset", 1)), until=holding(1))) == [b"1"]


def test_retention_that_overtakes_a_running_worker_is_told_as_lost(classic_house: House) -> None:
    # Failed when the client's error was only logged: the partition stood still for good.
    house = classic_house
    reading = house.open()
    for number in range(6):
        house.put(b"%d" % number)
    reading.settle(next_batch(reading), [])
    for number in range(6, 12):
        house.put(b"%d" % number)
    unsettled = next_batch(reading)
    first = unsettled.records[0].offset
    house.kafka.delete_records_before(house.topic, first + 2)

    told = next_batch(reading)  # it goes back to what is settled, and that is gone

    while not told.lost:
        told = next_batch(reading)
    assert told.lost == (Lost(house.topic, 0, first, first + 1),)


def test_a_partition_added_while_running_is_read_and_remembered(classic_house: House) -> None:
    # Failed when the repeats topic stayed as narrow as it was: the ids had no partition to go to.
    house, copy = classic_house, a_copy()
    reading = house.open(copy)
    house.put(b"0", 0)
    collected(reading, until=holding(1))

    house.kafka.widen_topic(house.topic, 3)
    house.put(b"new", 2)
    while not (batch := next_batch(reading)).records:
        pass
    reading.settle(batch, [house.an_id("a", 0, 2)])

    assert [record.value for record in batch.records] == [b"new"]
    assert [m.partition() for m in house.kafka.records(house.repeats)] == [2]


# --- doubt ----------------------------------------------------------------------------------------


class LosingAnswers:
    """A producer whose first commit succeeds, and nobody hears of it."""

    lost = False

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def commit_transaction(self, timeout: float) -> None:
        self._producer.commit_transaction(timeout)
        if not LosingAnswers.lost:
            LosingAnswers.lost = True
            raise KafkaException(KafkaError(KafkaError._FENCED, "answer lost", True))


class LosingBrokers(Brokers):
    def producer(self, transactional_id: str) -> Any:
        return LosingAnswers(super().producer(transactional_id))


def test_after_an_unknown_outcome_the_batchs_partitions_are_restored(classic_house: House) -> None:
    # Failed when the copy was left as it was: the ids of the batch, committed after all, were in no
    # copy, and their events made mails again when they were repeated.
    LosingAnswers.lost = False
    house, copy = classic_house, a_copy()
    reading = house.open(copy, brokers=LosingBrokers)
    house.put(b"0")
    with pytest.raises(KafkaUnavailable):
        reading.settle(next_batch(reading), [house.an_id("a", 0)])
    house.put(b"1")

    afterwards = next_batch(reading)

    assert [record.value for record in afterwards.records] == [b"1"]  # the commit had succeeded
    assert house.knows(copy, "a") == 0


def test_after_an_unknown_outcome_of_a_part_those_behind_it_come_again(
    classic_house: House,
) -> None:
    LosingAnswers.lost = False
    house, copy = classic_house, a_copy()
    reading = house.open(copy, brokers=LosingBrokers)
    for value in (b"0", b"1", b"2"):
        house.put(value)
    first, second, third = collected_together(reading, 3).parts(1)
    with pytest.raises(KafkaUnavailable):
        reading.settle(first, [house.an_id("a", 0)])

    again = collected_together(reading, 2)

    assert again.records == second.records + third.records  # the first's commit had succeeded
    assert house.knows(copy, "a") == 0


def test_what_waits_beside_a_full_batch_is_collected_with_it(house: House) -> None:
    reading = house.open(most=2, ahead=5)
    for number in range(7):
        house.put(b"%d" % number)

    records = collected_together(reading, 5).records

    assert [record.value for record in records] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_batch_that_failed_before_its_commit_comes_again_with_the_copy_untouched(
    classic_house: House,
) -> None:
    house, copy = classic_house, a_copy()
    reading = house.open(copy)
    house.put(b"0")
    batch = next_batch(reading)
    before = copy.count
    with pytest.raises(KafkaUnavailable):
        reading.settle(batch, [Publication(topic="no such topic!", key=None, value=b"")])

    again = next_batch(reading)

    assert again.records == batch.records
    assert copy.count == before


class DeafConsumer:
    """A member that asks for its offsets in vain, as one does that its group no longer knows."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


class DeafBrokers(Brokers):
    def consumer(self, group_id: str) -> Any:
        return DeafConsumer(super().consumer(group_id))


def test_a_member_that_is_not_told_its_offsets_goes_on_all_the_same(classic_house: House) -> None:
    # Failed when it asked until it was told, and did not poll before: with KIP-848 a client whose
    # group has dropped it is told nothing until polling lets it join anew, so it asked for ever.
    house = classic_house
    reading = house.open(brokers=DeafBrokers)
    house.put(b"0")
    batch = next_batch(reading)
    with pytest.raises(KafkaUnavailable):
        reading.settle(batch, [Publication(topic="no such topic!", key=None, value=b"")])

    assert next_batch(reading).records == batch.records


class TornConsumer:
    """Hands records out, and fails before anybody has them; once."""

    torn = False

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def consume(self, most: int, wait: float) -> list[Message]:
        handed_out = self._consumer.consume(most, max(wait, 0.5))
        if handed_out and not TornConsumer.torn:
            TornConsumer.torn = True
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return handed_out


class TornBrokers(Brokers):
    def consumer(self, group_id: str) -> Any:
        return TornConsumer(super().consumer(group_id))


def test_records_of_a_collection_that_failed_come_again_whichever_partition_they_are_of(
    house: House,
) -> None:
    # Failed when only what the worker had seen of it was sought back: of a partition whose records
    # were all among those that nobody had seen, they were stepped over.
    TornConsumer.torn = False
    for number in range(20):
        house.put(b"%02d" % number, number % 2)
    reading = house.open(brokers=TornBrokers)

    settle_everything(house, reading)

    assert TornConsumer.torn
    assert values_of(house.kafka.records(house.out)) == [b"%02d" % number for number in range(20)]


class BackwardConsumer:
    """Hands out once more what it has handed out before; once."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._first: list[Message] = []
        self.went_back = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def consume(self, most: int, wait: float) -> list[Message]:
        handed_out = self._consumer.consume(most, wait)
        if self._first and not self.went_back:
            self.went_back = True
            handed_out += self._first
        self._first = self._first or handed_out
        return handed_out


class BackwardBrokers(Brokers):
    made: BackwardConsumer | None = None

    def consumer(self, group_id: str) -> Any:
        BackwardBrokers.made = BackwardConsumer(super().consumer(group_id))
        return BackwardBrokers.made


def test_a_client_that_goes_back_makes_nobody_settle_twice(house: House) -> None:
    # Failed when what the client handed out was taken as it came.
    reading = house.open(brokers=BackwardBrokers, most=5)
    for number in range(40):
        house.put(b"%02d" % number)

    settle_everything(house, reading)
    house.put(b"40")
    settle_everything(house, reading)

    assert BackwardBrokers.made is not None
    assert BackwardBrokers.made.went_back
    assert values_of(house.kafka.records(house.out)) == [b"%02d" % number for number in range(41)]


class DroppedConsumer:
    """A member whose group drops it once it has read something, and that has not noticed."""

    dropped = False

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def memberid(self) -> str | None:
        return "" if DroppedConsumer.dropped else self._consumer.memberid()


class DroppedBrokers(Brokers):
    def consumer(self, group_id: str) -> Any:
        return DroppedConsumer(super().consumer(group_id))


def test_a_member_that_its_group_has_dropped_settles_nothing(house: House) -> None:
    # Failed when nobody looked: a broker asks nothing of a transaction that names no member, so
    # what a successor had settled meanwhile could be settled once more.
    DroppedConsumer.dropped = False
    house.put(b"0")
    reading = house.open(brokers=DroppedBrokers)
    batch = next_batch(reading)
    DroppedConsumer.dropped = True

    with pytest.raises(KafkaUnavailable, match="dropped"):
        reading.settle(batch, [Publication(house.out, None, b"0")])

    DroppedConsumer.dropped = False
    assert house.kafka.records(house.out) == []
    assert next_batch(reading).records == batch.records


# --- one id, two processes ------------------------------------------------------------------------


def test_a_process_that_is_fenced_again_and_again_says_whose_id_it_is(classic_house: House) -> None:
    house = classic_house
    house.put(b"0")
    mine, other = house.open(name="same"), house.open(name="same")

    def fight() -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for each in (mine, other):
                try:
                    batch = each.collect()
                    if not batch.is_empty:
                        each.settle(batch, [])
                except KafkaUnavailable:
                    continue
            for partition in (0, 1):
                house.put(b"more", partition)

    with pytest.raises(InvalidSettings, match=f"another process uses .* {house.group}-same"):
        fight()


# --- the topic of its own -------------------------------------------------------------------------


def test_the_repeats_topic_is_made_with_all_that_the_list_says(kafka: Kafka) -> None:
    name, wide, narrow = (kafka.fresh_name(each) for each in ("repeats", "wide", "narrow"))
    kafka.create_topics({wide: 5, narrow: 2})
    topic = RepeatsTopic(Brokers(kafka.bootstrap, {}).admin, kafka.bootstrap, name, WINDOW)

    topic.prepare([narrow, wide])
    topic.prepare([narrow, wide])  # it is there already

    assert kafka.partitions(name) == 5
    config = kafka.topic_config(name)
    assert config["cleanup.policy"] == "compact,delete"
    assert config["retention.ms"] == str(8 * 86_400_000)
