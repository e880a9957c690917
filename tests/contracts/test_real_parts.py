"""Each real part starts, answers, takes the faults that tests do to it, and comes back."""

import json
import urllib.request
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Producer

from tests.real.kafka import Kafka
from tests.real.postgresql import PostgreSQL
from tests.real.prometheus import scraping
from tests.real.registry import Registry
from tests.real.waiting import free_port, wait_until


def publish(kafka: Kafka, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "message.max.bytes": 8_000_000})
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(30) == 0


def publish_and_abort(kafka: Kafka, topic: str, value: bytes) -> None:
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "transactional.id": kafka.fresh_name("aborter")}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, value, partition=0)
    producer.flush(30)
    producer.abort_transaction(30)


def values(kafka: Kafka, topic: str, isolation: str = "read_committed") -> list[bytes | None]:
    return [message.value() for message in kafka.records(topic, isolation=isolation)]


@pytest.fixture
def topic(kafka: Kafka) -> str:
    name = kafka.fresh_name("topic")
    kafka.create_topics({name: 2})
    return name


def test_kafka_gives_back_what_it_was_given(kafka: Kafka, topic: str) -> None:
    publish(kafka, topic, b"1", b"2")

    assert values(kafka, topic) == [b"1", b"2"]


def test_kafka_hides_what_was_aborted(kafka: Kafka, topic: str) -> None:
    publish_and_abort(kafka, topic, b"aborted")
    publish(kafka, topic, b"plain")

    assert values(kafka, topic) == [b"plain"]
    assert values(kafka, topic, "read_uncommitted") == [b"aborted", b"plain"]


def test_kafka_takes_larger_records_where_a_topic_allows_them(kafka: Kafka, topic: str) -> None:
    kafka.allow_records_of(topic, 4_000_000)

    publish(kafka, topic, bytes(range(256)) * 12_000)

    assert [len(value or b"") for value in values(kafka, topic)] == [3_072_000]


def test_kafka_keeps_its_records_when_it_is_killed(kafka: Kafka, topic: str) -> None:
    publish(kafka, topic, b"1")
    kafka.kill()

    kafka.start()

    assert values(kafka, topic) == [b"1"]


def test_kafka_goes_on_after_a_pause(kafka: Kafka, topic: str) -> None:
    kafka.pause()
    kafka.resume()

    publish(kafka, topic, b"1")

    assert values(kafka, topic) == [b"1"]


def test_the_registry_gives_back_the_schema_it_was_given(registry: Registry) -> None:
    schema = '{"type":"record","name":"r","fields":[{"name":"a","type":"string"}]}'
    asked = urllib.request.Request(
        f"{registry.url}/subjects/s-value/versions",
        data=json.dumps({"schema": schema}).encode(),
        headers={"Content-Type": "application/json"},
    )

    with urllib.request.urlopen(asked, timeout=10) as response:
        schema_id = json.load(response)["id"]
    with urllib.request.urlopen(f"{registry.url}/schemas/ids/{schema_id}", timeout=10) as response:
        answer = json.load(response)

    assert json.loads(answer["schema"]) == json.loads(schema)


def test_the_registry_comes_back_after_a_stop(registry: Registry) -> None:
    registry.stop()
    registry.start()

    with urllib.request.urlopen(f"{registry.url}/subjects", timeout=10) as response:
        assert response.status == 200


def tables(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        return int(next(row)[0])


def test_every_postgresql_database_is_empty_and_ones_own(postgresql: PostgreSQL) -> None:
    mine, yours = postgresql.url(), postgresql.url()
    with psycopg.connect(mine) as connection:
        connection.execute("CREATE TABLE t (a int)")

    assert (tables(mine), tables(yours)) == (1, 0)


def test_postgresql_keeps_what_was_committed_when_it_is_killed(postgresql: PostgreSQL) -> None:
    url = postgresql.url()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE t (a int)")
    postgresql.kill()

    postgresql.start()

    assert tables(url) == 1


def test_postgresql_that_is_stopped_refuses_and_the_next_test_has_it_back(
    postgresql: PostgreSQL,
) -> None:
    url = postgresql.url()

    postgresql.stop()

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)


def test_postgresql_is_back_after_a_test_that_stopped_it(postgresql: PostgreSQL) -> None:
    assert tables(postgresql.url()) == 0


def test_prometheus_says_of_a_target_that_is_not_there_that_it_is_down(
    prometheus: Path, tmp_path: Path
) -> None:
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {
                "job_name": "nobody",
                "static_configs": [{"targets": [f"127.0.0.1:{free_port()}"]}],
            }
        ],
    }

    with scraping(prometheus, tmp_path, configuration) as server:
        wait_until(lambda: server.query("up"), "the first scrape")

        assert [value for _, value in server.query('up{job="nobody"}')] == [0.0]
