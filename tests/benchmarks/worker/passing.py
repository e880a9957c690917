"""The worker's own stream and loop, and a work that neither reads nor thinks.

Run with the worker's settings (`python -m tests.benchmarks.worker.passing`): for one record in
twenty it writes a constant payload of a mail's size under the record's key.

As the floor it settles on the loop's own thread what it has just collected: with nothing to
prepare, a thread beside only costs (42,000 events/s instead of 48,000 at 200 records a
transaction). With `--beside` the loop runs as the worker has it.
"""

import os
import sys
import threading
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from consumer import kafka_clients, wiring
from consumer.kafka import KafkaStream
from consumer.logs import set_up
from consumer.process import run_until_stopped
from consumer.settings import Settings, load_settings
from schemas.records import Batch, Publication
from tests.benchmarks.worker.material import EVERY
from tests.beside import AtOnce
from tests.campaigns.bare_worker import run

PAYLOAD = os.urandom(2800).hex().encode()  # 5.6 kB that compresses as little as half


class Passed(NamedTuple):
    """What is passed on."""

    publications: Sequence[Publication]


class Passing:
    """A `Work` that passes one record in twenty on."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def prepare(self, batch: Batch, _: Passed | None) -> Passed:
        """Prepare a constant payload for each twentieth offset."""
        return Passed(
            [
                Publication(topic=self._topic, key=record.key, value=PAYLOAD)
                for record in batch.records
                if record.offset % EVERY == 0
            ]
        )

    def settled(self, prepared: Passed, seconds: float) -> None:
        """Take no note."""


def pass_on(settings: Settings, stop: threading.Event) -> None:
    """Pass records on until asked to stop, one transaction after another."""
    passing = Passing(settings.topic_outgoing_mail)
    run(stream_of(settings), passing, settings.batch_size, stop, beside=AtOnce)


def pass_on_beside(settings: Settings, stop: threading.Event) -> None:
    """Pass records on until asked to stop, one part settled while the next is prepared."""
    passing = Passing(settings.topic_outgoing_mail)
    run(stream_of(settings, wiring.COLLECTED), passing, settings.batch_size, stop)


def stream_of(settings: Settings, ahead: int = 0) -> KafkaStream:
    """Return the worker's stream, which remembers nothing."""
    return kafka_clients.stream(
        kafka_clients.Brokers(settings.kafka_bootstrap_servers or "", settings.kafka),
        group_id=settings.group_id,
        transactional_id=settings.transactional_id,
        topics=tuple(wiring.event_types(settings)),
        most=settings.batch_size,
        wait=settings.batch_wait.total_seconds(),
        ahead=ahead,
    )


if __name__ == "__main__":
    set_up("INFO", stream=sys.stdout)
    passing_on = pass_on_beside if "--beside" in sys.argv else pass_on
    run_until_stopped(partial(passing_on, load_settings(os.environ)))
