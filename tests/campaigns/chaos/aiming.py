"""Aiming at an open transaction from outside: by what a reader of uncommitted records sees.

A mail that nobody may read yet is a transaction at work; an evaluation, which a worker writes last,
one about to be committed. Whose it is, the event's id or the evaluation tells.
"""

import time
import uuid
from collections.abc import Callable
from contextlib import suppress

from confluent_kafka import OFFSET_END, Consumer, KafkaException, TopicPartition

from tests.campaigns.chaos.load import place_of
from tests.campaigns.reading import fields

PlaceOf = tuple[str, int]  # topic and partition of the input
Ask = Callable[[], None]
_HEAD = 10  # bytes that name the schema
WITHIN = 6.0  # seconds; a fault that finds no target then falls where it falls


class Aim:
    """Watches a campaign's output topics while somebody aims; `prefix` begins all topics."""

    def __init__(self, bootstrap: str, prefix: str, mails: str, evaluations: str) -> None:
        self._prefix, self._mails, self._evaluations = prefix, mails, evaluations
        self._watch = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"aim-{uuid.uuid4().hex}",
                "isolation.level": "read_uncommitted",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,
                "log_level": 0,
            }
        )

    def at_mails(self, ask: Ask, meanwhile: Callable[[], None]) -> PlaceOf | None:
        """Return the input partition of the next mail written, or None where none comes.

        `ask` is called once for what is looked for, `meanwhile` again and again until it comes.
        """
        return self._next(self._mails, self._of_mail, ask, meanwhile)

    def at_evaluations(self, ask: Ask, meanwhile: Callable[[], None]) -> PlaceOf | None:
        """Return the same of the next evaluation written."""
        return self._next(self._evaluations, _of_evaluation, ask, meanwhile)

    def _next(
        self,
        topic: str,
        of: Callable[[bytes], PlaceOf],
        ask: Ask,
        meanwhile: Callable[[], None],
    ) -> PlaceOf | None:
        end = time.monotonic() + WITHIN
        try:
            found = self._watch.list_topics(topic, timeout=2).topics[topic].partitions
            self._watch.assign([TopicPartition(topic, place, OFFSET_END) for place in found])
            self._watch.poll(0.2)  # there now: what is written from here on is seen
            ask()
            while time.monotonic() < end:
                message = self._watch.poll(0.05)
                if message is None:
                    meanwhile()
                elif message.error() is None and (value := message.value()):
                    return of(value)
        except KafkaException:
            pass  # the broker is away: a fault not aimed is a fault all the same
        finally:
            with suppress(KafkaException):
                self._watch.unassign()
        return None

    def _of_mail(self, value: bytes) -> PlaceOf:
        """Read only the event's id: the second field, of 36 characters, after one of 32."""
        start = _HEAD + 1 + 32 + 1
        name, partition = place_of(value[start : start + 36].decode())
        return self._prefix + name, partition

    def close(self) -> None:
        """Look no longer."""
        self._watch.close()


def _of_evaluation(value: bytes) -> PlaceOf:
    told = fields("evaluation", value)
    return str(told["topic"]), int(told["partition"])
