"""Reading partitions up to ends that were asked for before, however fast others write on.

A client says that it is at a partition's end only when the broker has nothing more for it; of a
partition that others write without a pause it never does. So a record behind the end counts too.
What lies before an end in open transactions is waited for.
"""

from collections.abc import Callable, Iterator, Mapping
from time import monotonic

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from consumer.kafka_errors import PLACE_LOST, consumer_meaning
from schemas.errors import KafkaUnavailable
from schemas.records import Place

STUCK = 60.0  # seconds without a record: longer than our transactions may stay open
MOST = 5_000  # records read at once
WAIT = 0.05  # seconds until what is there is handed out


def records_before(
    ends: Mapping[Place, int], reader: Consumer, seconds: Callable[[], float] = monotonic
) -> Iterator[Message]:
    """Yield the records of these partitions before their ends; end once each was reached.

    `reader` must have been assigned the partitions, and must be told of their ends
    (`enable.partition.eof`). Raise `KafkaUnavailable` after a minute without a record, and what the
    client reports that no waiting mends.
    """
    left: dict[tuple[str | None, int | None], int] = dict(ends.items())
    heard = seconds()
    while left:
        for message in reader.consume(MOST, WAIT):
            place = message.topic(), message.partition()  # half a million pass here
            end = left.get(place)
            if end is None:
                continue
            if message.error() is None and (message.offset() or 0) < end:
                yield message
                heard = seconds()  # not before: whoever took it may have taken long
            elif _is_at_end(message, end):
                del left[place]
        if left and seconds() - heard > STUCK:
            names = ", ".join(f"{topic}/{partition}" for topic, partition in left)
            detail = "no answer, or a transaction that stays open"
            raise KafkaUnavailable(f"Kafka: {names}: {detail}, for {STUCK:g} s")


def _is_at_end(message: Message, end: int) -> bool:
    """Say whether a partition is read to its end; raise what cannot be waited out."""
    error = message.error()
    if error is None:
        return True  # a record that came later
    if error.code() == KafkaError._PARTITION_EOF:
        return (message.offset() or 0) >= end
    if error.code() in PLACE_LOST:
        raise KafkaException(error)
    fault = consumer_meaning(error)
    if fault is not None:
        raise fault
    return False  # the client goes on by itself
