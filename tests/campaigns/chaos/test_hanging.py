"""What a campaign takes for the broker's own fault."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.campaigns.chaos.hanging import BrokerAtFault, refuse_if_hanging
from tests.real.kafka import Kafka

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
    asking = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": topic})
    group = asking.consumer_group_metadata()
    producer.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], group, 10)
    asking.close()

    with pytest.raises(BrokerAtFault, match=f"the committing of {topic}/0"):
        refuse_if_hanging(kafka, topic, [topic], [], lambda _: None)
