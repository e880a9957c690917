"""What a campaign takes for the broker's own fault."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.campaigns.chaos.hanging import (
    ASK_EVERY,
    BrokerAtFault,
    refuse_if_forgotten,
    refuse_if_hanging,
    stable_offsets,
)
from tests.real.kafka import Kafka
from tests.real.waiting import wait_until

pytestmark = pytest.mark.kafka


@pytest.fixture
def topic(kafka: Kafka) -> str:
    name = kafka.fresh_name("hanging")
    kafka.create_topics({name: 1})
    return name


@pytest.fixture
def producer(kafka: Kafka, topic: str) -> Iterator[Producer]:
    """A producer with an open transaction."""
    opened = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic})
    opened.init_transactions(30)
    opened.begin_transaction()
    opened.produce(topic, b"value")
    opened.flush(30)
    yield opened
    opened.commit_transaction(30)


def mark(kafka: Kafka, topic: str, producer: Producer) -> None:
    """Say within the producer's transaction that the topic's group has read its first record."""
    asking = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": topic})
    group = asking.consumer_group_metadata()
    producer.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], group, 10)
    asking.close()


def test_a_transaction_that_outlasts_every_timeout_is_the_brokers_fault(
    kafka: Kafka, topic: str, producer: Producer
) -> None:
    with pytest.raises(BrokerAtFault, match=f"{topic}/0 from 0"):
        refuse_if_hanging(kafka, topic, [], [topic], lambda _: None)


def test_a_transaction_that_gives_way_to_the_next_is_not(
    kafka: Kafka, topic: str, producer: Producer
) -> None:
    def go_on(_: float) -> None:
        producer.commit_transaction(30)
        producer.begin_transaction()
        producer.produce(topic, b"value")
        producer.flush(30)

    refuse_if_hanging(kafka, topic, [], [topic], go_on)


def test_offsets_that_nobody_ends_committing_are_the_brokers_fault(
    kafka: Kafka, topic: str, producer: Producer
) -> None:
    mark(kafka, topic, producer)

    with pytest.raises(BrokerAtFault, match=f"the committing of {topic}/0"):
        refuse_if_hanging(kafka, topic, [topic], [], lambda _: None)


def at_once(_: float) -> None:
    """Let no time pass."""


def test_offsets_that_a_start_took_back_for_good_are_the_brokers_fault() -> None:
    before, after = {("in", 0): 7, ("in", 1): 93_368}, {("in", 0): 7, ("in", 1): 23_450}

    with pytest.raises(BrokerAtFault, match="in/1 went from 93368 to 23450"):
        refuse_if_forgotten(before, lambda: after, at_once)


def test_an_offset_that_is_lost_altogether_is_forgotten_too() -> None:
    with pytest.raises(BrokerAtFault, match="from 7 to -1001"):
        refuse_if_forgotten({("in", 0): 7}, lambda: {("in", 0): -1001}, at_once)


def test_a_broker_that_still_reads_its_log_is_waited_for() -> None:
    answers = iter([-1001, 3, 7])

    took = refuse_if_forgotten({("in", 0): 7}, lambda: {("in", 0): next(answers)}, at_once)

    assert took == 2 * ASK_EVERY


def test_offsets_that_went_on_or_gave_no_answer_are_nobodys_fault() -> None:
    before = {("in", 0): 7, ("in", 1): 7, ("in", 2): 7}

    refuse_if_forgotten(before, lambda: {("in", 0): 7, ("in", 1): 9}, at_once)


def test_an_offset_that_a_transaction_is_changing_is_not_compared(
    kafka: Kafka, topic: str, producer: Producer
) -> None:
    mark(kafka, topic, producer)
    open_ = stable_offsets(kafka, topic, [topic])
    producer.commit_transaction(30)
    producer.begin_transaction()

    wait_until(lambda: stable_offsets(kafka, topic, [topic]) == {(topic, 0): 1}, "it is stable")
    assert open_ == {}
