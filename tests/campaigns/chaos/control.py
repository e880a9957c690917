"""The control: the worker's own plans, published without transactions. It must be caught.

Run as the worker is, with the same settings: `python -m tests.campaigns.chaos.control`. It plans
with the product's planner and runs in the product's loop; only its stream is another: publish,
flush, then commit offsets, the usual way without transactions. A kill in between doubles mails.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from consumer import wiring
from consumer.evaluating import Evaluated, Evaluating
from consumer.kafka_settings import consumer_properties, producer_properties
from consumer.logs import set_up
from consumer.process import run_until_stopped
from consumer.settings import Settings, load_settings
from schemas.errors import KafkaUnavailable
from schemas.records import Batch, Publication, Record
from tests.campaigns.bare_worker import run, work_of
from tests.campaigns.house import House
from tests.real.processes import Process
from tests.real.push_services import clean_environment


class PlainStream:
    """An `EventStream` that keeps its promise only while nobody dies."""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        servers = settings.kafka_bootstrap_servers or ""
        writing = producer_properties(servers, "", settings.kafka)
        for name in ("transactional.id", "transaction.timeout.ms"):
            writing.pop(name, None)
        self._most = settings.batch_size
        self._repeats = settings.repeats_topic
        self._producer = Producer(writing)
        reading = consumer_properties(servers, settings.group_id, settings.kafka)
        self._consumer = Consumer({**reading, "auto.offset.reset": "earliest"})
        self._consumer.subscribe(list(topics), on_assign=_log("partitions_assigned"))
        self._unsettled: dict[tuple[str, int], int] = {}

    def collect(self) -> Batch:
        """Return what waits; what was not settled comes again."""
        for (topic, partition), offset in self._unsettled.items():
            try:
                self._consumer.seek(TopicPartition(topic, partition, offset))
            except KafkaException:
                continue  # somebody else's now
        first = self._consumer.poll(0.5)
        messages = [first, *self._consumer.consume(self._most - 1, 0)] if first else []
        batch = Batch(tuple(_record(m) for m in messages if m.error() is None))
        self._unsettled = {}
        for record in batch.records:
            self._unsettled.setdefault((record.topic, record.partition), record.offset)
        return batch

    def settle(self, batch: Batch, publications: Sequence[Publication]) -> None:
        """Publish everything, then mark the batch done: two steps, and a kill fits between."""
        for each in publications:
            if each.topic != self._repeats:  # it remembers nothing
                self._publish(each)
        if self._producer.flush(15):
            raise KafkaUnavailable("not everything was published")
        ends = {(r.topic, r.partition): r.offset + 1 for r in batch.records}
        try:
            self._consumer.commit(
                offsets=[TopicPartition(*place, end) for place, end in ends.items()],
                asynchronous=False,
            )
        except KafkaException as error:
            raise KafkaUnavailable(f"Kafka: {error.args[0].name()}") from error
        self._unsettled = {}

    def _publish(self, each: Publication) -> None:
        while True:
            try:
                self._producer.produce(
                    each.topic, each.value, each.key, headers=list(each.headers) or None
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()


def _log(action: str) -> Callable[[Consumer, list[TopicPartition]], None]:
    def log(_: Consumer, partitions: list[TopicPartition]) -> None:
        names = [f"{p.topic}/{p.partition}" for p in partitions]
        wiring.logger.info(action, extra={"partitions": names})

    return log


def _record(message: Message) -> Record:
    return Record(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
    )


class WithoutRepeats:
    """The work, but for what it writes to the repeats topic: nobody has made that here."""

    def __init__(self, work: Evaluating, repeats: str) -> None:
        self._work, self._repeats = work, repeats

    def prepare(self, batch: Batch, under_way: Evaluated | None) -> Evaluated:
        """Prepare all others; see `Work`."""
        prepared = self._work.prepare(batch, under_way)
        kept = [p for p in prepared.publications if p.topic != self._repeats]
        return replace(prepared, publications=kept)

    def settled(self, prepared: Evaluated, seconds: float) -> None:
        """Pass it on; see `Work`."""
        self._work.settled(prepared, seconds)


def evaluate(settings: Settings, stop: threading.Event) -> None:
    """Turn events into outgoing mails until asked to stop, as `run` does, but for the stream."""
    work = WithoutRepeats(work_of(settings, stop), settings.repeats_topic)
    stream = PlainStream(settings, list(wiring.event_types(settings)))
    run(stream, work, settings.batch_size, stop)


def process(house: House, place: Path, environment: dict[str, str]) -> Process:
    """Return the control as a process, not yet started."""
    place.mkdir(parents=True)
    return Process(
        command=[sys.executable, "-m", "tests.campaigns.chaos.control"],
        folder=place,
        environment=clean_environment() | environment,
    )


if __name__ == "__main__":
    set_up("INFO", stream=sys.stdout)
    run_until_stopped(partial(evaluate, load_settings(os.environ)))
