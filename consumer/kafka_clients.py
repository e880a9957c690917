"""Making Kafka clients out of settings, and asking the brokers about topics."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from consumer.kafka import KafkaStream
from consumer.kafka_errors import kafka_errors
from consumer.kafka_settings import (
    OWNED,
    client_properties,
    consumer_properties,
    producer_properties,
)
from schemas.errors import KafkaUnavailable

logger = logging.getLogger(__name__)
client_logger = logging.getLogger("librdkafka")

ASK = 2.0  # seconds a question about topics may take: a stop request is seen after it
ASK_AGAIN = 2.0  # seconds between two questions while something is missing


def stream(
    *,
    bootstrap_servers: str,
    properties: Mapping[str, str],
    group_id: str,
    transactional_id: str,
    topics: Sequence[str],
    most: int,
    wait: float = 0.0,
) -> KafkaStream:
    """Return a stream that has not asked any broker yet; its properties must be without faults."""
    reading = consumer_properties(bootstrap_servers, group_id, properties)
    writing = producer_properties(bootstrap_servers, transactional_id, properties)
    return KafkaStream(
        partial(Consumer, reading, logger=client_logger),
        topics,
        partial(Producer, writing, logger=client_logger),
        most,
        wait,
        transactional_id,
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


def wait_for_topics(
    bootstrap_servers: str,
    properties: Mapping[str, str],
    topics: Iterable[str],
    stop: threading.Event,
    beat: Callable[[], None],
) -> None:
    """Wait until every topic exists, saying in the log what is missing; or until asked to stop."""
    admin = AdminClient(client_properties(bootstrap_servers, properties), logger=client_logger)
    wanted = sorted(topics)
    while not stop.is_set():
        beat()
        try:
            with kafka_errors():
                known = admin.list_topics(timeout=ASK).topics
            missing = [name for name in wanted if name not in known or known[name].error]
            if not missing:
                return
            logger.warning("topics_missing", extra={"topics": missing})
        except KafkaUnavailable as error:
            fields = {"bootstrap_servers": bootstrap_servers, "detail": str(error)}
            logger.warning("kafka_waited_for", extra=fields)
        stop.wait(ASK_AGAIN)
