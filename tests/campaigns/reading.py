"""Reading topics back as an outsider would: read_committed, decoded by fastavro alone."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any, NamedTuple

import fastavro
from confluent_kafka import Consumer, TopicPartition

from schemas.published import text_of


class Seen(NamedTuple):
    """A record as a reader gets it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes | None]


def records(bootstrap: str, topic: str, *, idle: float = 3.0, at_most: float = 60.0) -> list[Seen]:
    """Return all that is committed in a topic; its end is `idle` seconds of nothing."""
    return list(stream(bootstrap, topic, idle=idle, at_most=at_most))


def stream(bootstrap: str, topic: str, *, idle: float, at_most: float) -> Iterator[Seen]:
    """Yield records as they come until nothing came for `idle` seconds, or after `at_most`."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"reader-{uuid.uuid4().hex}",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    end, quiet_since = time.monotonic() + at_most, time.monotonic()
    try:
        while time.monotonic() < end and time.monotonic() - quiet_since < idle:
            for message in consumer.consume(500, 0.2):
                assert message.error() is None, message.error()
                quiet_since = time.monotonic()
                headers: Any = message.headers() or []
                yield Seen(
                    message.topic() or "",
                    message.partition() or 0,
                    message.offset() or 0,
                    message.key(),
                    message.value(),
                    dict(headers),
                )
    finally:
        consumer.close()


def read_until(
    bootstrap: str, topic: str, enough: Callable[[Sequence[Seen]], bool], *, at_most: float
) -> list[Seen]:
    """Return the topic's records once they are enough, or whatever came after `at_most` seconds."""
    seen: list[Seen] = []
    for record in stream(bootstrap, topic, idle=at_most, at_most=at_most):
        seen.append(record)
        if enough(seen):
            break
    return seen


def fields(name: str, value: bytes | None) -> dict[str, Any]:
    """Decode a value of either framing with our published schema."""
    assert value is not None
    start = 5 if value[:1] == b"\x00" else 10
    decoded = fastavro.schemaless_reader(
        BytesIO(value[start:]), fastavro.parse_schema(_schema(name)), None
    )
    assert isinstance(decoded, dict)
    return decoded


def _schema(name: str) -> Any:
    return json.loads(text_of(name))
