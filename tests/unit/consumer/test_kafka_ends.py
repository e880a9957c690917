"""Reading up to an end: what counts as having come there, and what as silence."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, Message

from consumer.kafka_ends import STUCK, records_before
from schemas.errors import KafkaUnavailable
from schemas.records import Place

PLACE = Place("topic", 0)


def record(offset: int) -> Message:
    return Message(topic="topic", partition=0, offset=offset, value=b"value")


def the_end(offset: int) -> Message:
    error = KafkaError(KafkaError._PARTITION_EOF)
    return Message(topic="topic", partition=0, offset=offset, error=error)


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Reader:
    """Hands out batch after batch, and then nothing; each asking takes a second."""

    def __init__(self, clock: Clock, *batches: list[Message]) -> None:
        self._clock, self._batches = clock, iter(batches)

    def consume(self, *_: Any) -> list[Message]:
        self._clock.now += 1
        return next(self._batches, [])


def read(end: int, clock: Clock, *batches: list[Message]) -> Iterator[int | None]:
    reader = cast("Consumer", Reader(clock, *batches))
    for message in records_before({PLACE: end}, reader, clock):
        yield message.offset()


def test_a_record_behind_the_end_is_an_end_and_not_handed_out() -> None:
    assert list(read(2, Clock(), [record(0), record(1), record(2), record(3)])) == [0, 1]


def test_a_word_that_comes_before_the_end_is_not_the_end() -> None:
    batches = [record(0), the_end(1)], [record(1), the_end(2)]

    assert list(read(2, Clock(), *batches)) == [0, 1]


def test_silence_before_the_end_is_told() -> None:
    with pytest.raises(KafkaUnavailable, match="topic/0: no answer"):
        list(read(2, Clock(), [record(0)]))


def test_however_long_somebody_looks_at_a_record_that_is_no_silence() -> None:
    # Failed when the time was taken before a record was handed out: a redrive that waited for its
    # transaction, or a person at a pager, was told that Kafka gave no answer.
    clock, seen = Clock(), []

    for offset in read(2, clock, [record(0)], [], [record(1), the_end(2)]):
        seen.append(offset)
        clock.now += 2 * STUCK

    assert seen == [0, 1]
