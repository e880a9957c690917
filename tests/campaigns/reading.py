"""Reading topics back as an outsider would: read_committed, decoded by fastavro alone."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple

import fastavro
from confluent_kafka import Consumer, Message, TopicPartition

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
    consumer, _ = _reader(bootstrap, topic)
    end, quiet_since = time.monotonic() + at_most, time.monotonic()
    try:
        while time.monotonic() < end and time.monotonic() - quiet_since < idle:
            for message in consumer.consume(500, 0.2):
                assert message.error() is None, message.error()
                quiet_since = time.monotonic()
                yield _seen(message)
    finally:
        consumer.close()


def whole(bootstrap: str, topic: str, *, at_most: float = 600.0) -> Iterator[Seen]:
    """Yield all that is committed in a topic now, however much that is.

    Raise `TimeoutError` where the end of every partition is not reached within `at_most` seconds.
    """
    consumer, partitions = _reader(bootstrap, topic, {"enable.partition.eof": True})
    end, ended = time.monotonic() + at_most, set[int | None]()
    try:
        while len(ended) < partitions:
            if time.monotonic() > end:
                raise TimeoutError(f"did not come to the end of {topic}")
            for message in consumer.consume(1000, 0.2):
                if message.error():  # the end of a partition; all else shows as not reaching it
                    ended.add(message.partition())
                else:
                    yield _seen(message)
    finally:
        consumer.close()


def _reader(
    bootstrap: str, topic: str, more: Mapping[str, str | int | bool] | None = None
) -> tuple[Consumer, int]:
    """Return a reader at the topic's beginning, and how many partitions it reads."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"reader-{uuid.uuid4().hex}",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            **(more or {}),
        }
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    return consumer, len(partitions)


def _seen(message: Message) -> Seen:
    headers: Any = message.headers() or []
    return Seen(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.key(),
        message.value(),
        dict(headers),
    )


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
    decoded = fastavro.schemaless_reader(BytesIO(value[start:]), schema_of(name), None)
    assert isinstance(decoded, dict)
    return decoded


@cache
def schema_of(name: str) -> Any:
    """Return the newest published schema of that name, as fastavro wants it."""
    return fastavro.parse_schema(json.loads(text_of(name)))
