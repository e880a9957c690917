import logging
from collections.abc import Mapping

import pytest
from confluent_kafka import Consumer, KafkaException, Producer

from consumer.kafka_settings import (
    OWNED,
    Properties,
    client_properties,
    consumer_properties,
    producer_properties,
)

BROKERS = "127.0.0.1:1"  # nobody listens there, and nobody is asked
QUIET = logging.getLogger("tests.librdkafka")


def reading(given: Mapping[str, str] | None = None) -> Properties:
    return consumer_properties(BROKERS, "group", given or {})


def writing(given: Mapping[str, str] | None = None) -> Properties:
    return producer_properties(BROKERS, "slot-0", given or {})


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="ours alone"),
        pytest.param({"group.protocol": "consumer"}, id="the new group protocol"),
        pytest.param({"session.timeout.ms": "45000"}, id="an operator's own value"),
    ],
)
def test_librdkafka_takes_our_consumers_properties(given: Mapping[str, str]) -> None:
    Consumer(reading(given), logger=QUIET).close()


def test_librdkafka_takes_our_producers_properties() -> None:
    assert isinstance(Producer(writing(), logger=QUIET), Producer)


def test_librdkafka_refuses_what_would_weaken_transactions() -> None:
    with pytest.raises(KafkaException, match="acks"):
        Producer(writing({"acks": "1"}), logger=QUIET)


def test_a_consumer_reads_committed_records_and_commits_nothing_by_itself() -> None:
    properties = reading()

    assert properties["isolation.level"] == "read_committed"
    assert properties["enable.auto.commit"] is False
    assert properties["auto.offset.reset"] == "error"  # a place that is lost is never guessed
    assert properties["allow.auto.create.topics"] is False


def test_small_transactions_do_not_wait_for_the_default_backoff() -> None:
    # The default of 100 ms is what each transaction then takes on a real broker (kafka.md 2).
    assert writing()["retry.backoff.ms"] == 1
    assert writing()["linger.ms"] == 0


def test_a_dead_worker_holds_its_records_up_for_twenty_seconds_at_most() -> None:
    assert writing()["transaction.timeout.ms"] == 20_000


def test_clients_are_named_by_the_settings() -> None:
    assert (reading()["bootstrap.servers"], reading()["group.id"]) == (BROKERS, "group")
    assert (writing()["bootstrap.servers"], writing()["transactional.id"]) == (BROKERS, "slot-0")


@pytest.mark.parametrize(
    ("name", "value"),
    [("fetch.wait.max.ms", "7"), ("max.poll.interval.ms", "300000"), ("client.id", "mine")],
)
def test_an_operators_property_wins_in_a_consumer(name: str, value: str) -> None:
    assert reading({name: value})[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [("linger.ms", "5"), ("message.max.bytes", "2000000"), ("compression.type", "zstd")],
)
def test_an_operators_property_wins_in_a_producer(name: str, value: str) -> None:
    assert writing({name: value})[name] == value


def test_a_property_of_consumers_alone_reaches_no_producer() -> None:
    given = {"fetch.min.bytes": "2", "queued.min.messages": "9", "group.protocol": "consumer"}

    assert not given.keys() & writing(given).keys()
    assert not given.keys() & client_properties(BROKERS, given).keys()


def test_a_property_of_producers_alone_reaches_no_consumer() -> None:
    given = {"linger.ms": "2", "queue.buffering.max.kbytes": "9", "acks": "all"}

    assert not given.keys() & reading(given).keys()
    assert not given.keys() & client_properties(BROKERS, given).keys()


def test_what_reaches_the_brokers_is_shared_by_all_clients() -> None:
    given = {"security.protocol": "SASL_SSL", "sasl.password": "x", "debug": "broker"}

    for properties in (reading(given), writing(given), client_properties(BROKERS, given)):
        assert given.items() <= properties.items()


def test_the_new_group_protocol_drops_what_belongs_to_the_classic_one() -> None:
    properties = reading({"group.protocol": "CONSUMER"})

    assert properties["group.protocol"] == "CONSUMER"
    assert not properties.keys() & {
        "partition.assignment.strategy",
        "session.timeout.ms",
        "heartbeat.interval.ms",
    }


@pytest.mark.parametrize("name", ["group.id", "enable.auto.commit", "isolation.level"])
def test_what_the_loop_owns_says_why_it_is_not_to_be_set(name: str) -> None:
    assert len(OWNED[name]) > 10


def test_nothing_given_is_changed() -> None:
    given = {"group.protocol": "consumer", "linger.ms": "5"}

    reading(given)
    writing(given)

    assert given == {"group.protocol": "consumer", "linger.ms": "5"}
