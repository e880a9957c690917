"""Asking the brokers about topics: are they there, how long do they keep, and make our own.

The repeats topic is the only one that push-services creates (`deploy/topics.yaml` lists the rest).
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from functools import cached_property

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imported there, not exported
    AdminClient,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from consumer.kafka_errors import kafka_errors
from schemas.errors import InvalidSettings, KafkaUnavailable

logger = logging.getLogger(__name__)

ASK = 2.0  # seconds a question about topics may take: a stop request is seen after it
ASK_AGAIN = 2.0  # seconds between two questions while something is missing
MAKE = 20.0  # seconds for a topic to be made
DAY = timedelta(days=1)

_MAY_NOT = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.POLICY_VIOLATION,
        KafkaError.INVALID_CONFIG,
    }
)
_MADE_BY_OTHERS = frozenset({KafkaError.TOPIC_ALREADY_EXISTS})


def wait_for_topics(
    admin: AdminClient,
    bootstrap_servers: str,
    topics: Iterable[str],
    stop: threading.Event,
    beat: Callable[[], None],
) -> None:
    """Wait until every topic exists, saying in the log what is missing; or until asked to stop."""
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


class RepeatsTopic:
    """Our own topic: made where it is missing, widened where an input topic has grown."""

    def __init__(
        self,
        new_admin: Callable[[], AdminClient],
        bootstrap_servers: str,
        name: str,
        window: timedelta,
    ) -> None:
        """Ask nobody yet. `window` is how long an id is known; the topic keeps it a day longer."""
        self._new_admin = new_admin
        self._servers = bootstrap_servers
        self.name = name
        retention = int((window + DAY).total_seconds() * 1000)
        self._config = {"cleanup.policy": "compact,delete", "retention.ms": str(retention)}
        self._width = 0  # partitions that it is known to have

    @cached_property
    def _admin(self) -> AdminClient:
        return self._new_admin()

    def prepare(self, inputs: Sequence[str]) -> None:
        """Have it with as many partitions as the widest input topic.

        Raise `InvalidSettings` with the command that does it where we may not, `Temporary` where
        no answer came.
        """
        with kafka_errors():
            known = self._admin.list_topics(timeout=MAKE).topics
        self.widen(max(len(known[name].partitions) for name in inputs))

    def widen(self, partitions: int) -> None:
        """Have it with at least so many partitions; see `prepare`."""
        if partitions <= self._width:
            return
        with kafka_errors():
            known = self._admin.list_topics(timeout=MAKE).topics.get(self.name)
        width = 0 if known is None or known.error else len(known.partitions)
        if width == 0:
            self._make(partitions)
        elif width < partitions:
            self._grow(partitions)
        self._width = max(width, partitions)

    def _make(self, partitions: int) -> None:
        topic = NewTopic(self.name, num_partitions=partitions, config=self._config)
        created = self._admin.create_topics([topic], operation_timeout=MAKE)
        configs = " ".join(f"--config {name}={value}" for name, value in self._config.items())
        self._wait(created[self.name], f"--create --partitions {partitions} {configs}")
        logger.info("topic_made", extra={"topic": self.name, "partitions": partitions})

    def _grow(self, partitions: int) -> None:
        grown = self._admin.create_partitions(
            [NewPartitions(self.name, partitions)], operation_timeout=MAKE
        )
        self._wait(grown[self.name], f"--alter --partitions {partitions}")
        logger.info("topic_widened", extra={"topic": self.name, "partitions": partitions})

    def _wait(self, made: "Future[None]", options: str) -> None:
        with kafka_errors():
            try:
                made.result(MAKE + ASK)
            except TimeoutError as error:
                raise KafkaUnavailable("Kafka: no answer about a topic") from error
            except KafkaException as error:
                code = error.args[0].code()
                if code in _MAY_NOT:
                    raise self._may_not(error.args[0].name(), options) from error
                if code not in _MADE_BY_OTHERS:
                    raise

    def _may_not(self, why: str, options: str) -> InvalidSettings:
        command = (
            f"kafka-topics.sh --bootstrap-server {self._servers} --topic {self.name} {options}"
        )
        fault = f"topic {self.name} could not be made ({why}); make it with: {command}"
        return InvalidSettings([f"PUSH_TOPIC_REPEATS: {fault}"])


def warn_of_short_retention(
    admin: AdminClient, needed: Iterable[tuple[str, timedelta, str]]
) -> None:
    """Log a warning for each topic that keeps its records shorter than it should.

    `needed` holds topic, time and the setting that asks for it. A broker that does not say how long
    it keeps (no right to ask, or the demo's) is no fault.
    """
    for topic, least, because in needed:
        kept = _retention(admin, topic)
        if kept is not None and kept < least:
            fields = {"topic": topic, "kept_for": kept, "needed_for": least, "because": because}
            logger.warning("retention_too_short", extra=fields)


def _retention(admin: AdminClient, topic: str) -> timedelta | None:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        answer = admin.describe_configs([resource], request_timeout=ASK)
        entries: Mapping[str, ConfigEntry] = answer[resource].result(2 * ASK)
    except (KafkaException, TimeoutError):
        logger.info("retention_unknown", extra={"topic": topic})
        return None
    entry = entries.get("retention.ms")
    milliseconds = int(entry.value) if entry is not None and entry.value is not None else -1
    return None if milliseconds < 0 else timedelta(milliseconds=milliseconds)
