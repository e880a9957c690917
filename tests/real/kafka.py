"""A real Apache Kafka: in a container where an engine answers, otherwise on the local JVM.

Both run one broker that is its own controller, with the same properties. It forgets a killed member
within seconds and a killed self within 2 s; Kafka's own defaults would cost tests a minute.
"""

import base64
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imported there, not exported
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from tests.real import found
from tests.real.containers import Container
from tests.real.found import LeftOut
from tests.real.maven import COPY, COPY_DEPENDENCIES, kept
from tests.real.parts import ServerPart, first_to_start, start_or_leave_out
from tests.real.processes import Process
from tests.real.waiting import LOOPBACK, free_port, listens, wait_until

VERSION = os.environ.get("TEST_KAFKA_VERSION") or "4.4.0"
POM = Path(__file__).with_name("kafka-pom.xml")
PATIENCE = 60.0  # seconds until a broker answers
ROOM = 2 * 1024**3  # bytes that must be free on a memory file system before it is used

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "BROKER",
    "num.partitions": "4",
    "auto.create.topics.enable": "false",
    "log.segment.bytes": "16777216",
    "message.max.bytes": "2097152",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
}
LOGGING = """\
status=error
rootLogger.level=warn
rootLogger.appenderRef.c.ref=C
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %m%n
"""


@dataclass(frozen=True, slots=True)
class Kafka(ServerPart):
    """A running broker, its topics, and the faults that can be done to it."""

    bootstrap: str

    def fresh_name(self, prefix: str) -> str:
        """Return a name that no topic, group or transactional id has had."""
        return f"{prefix}-{secrets.token_hex(4)}"

    def create_topics(
        self, partitions: Mapping[str, int], config: Mapping[str, str] | None = None
    ) -> None:
        """Create topics with so many partitions each, and wait until every partition is led."""
        topics = [
            NewTopic(topic, num_partitions=count, replication_factor=1, config=dict(config or {}))
            for topic, count in partitions.items()
        ]
        admin = self._admin()  # must outlive its answers
        for created in admin.create_topics(topics, operation_timeout=20).values():
            created.result(30)
        wait_until(lambda: self._led(partitions), f"leaders of {', '.join(partitions)}")

    def set_topic_config(self, topic: str, **config: str) -> None:
        """Change properties of a topic, dots written as underscores: `max_message_bytes="5"`."""
        self._set_config(ResourceType.TOPIC, topic, config)

    def set_group_config(self, group: str, **config: str) -> None:
        """Change properties that the broker has for a group: `consumer_session_timeout_ms="5"`."""
        self._set_config(ResourceType.GROUP, group, config)

    def _set_config(self, kind: ResourceType, name: str, config: Mapping[str, str]) -> None:
        entries = [
            ConfigEntry(of.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
            for of, value in config.items()
        ]
        resource = ConfigResource(kind, name, incremental_configs=entries)
        admin = self._admin()  # must outlive its answers
        for altered in admin.incremental_alter_configs([resource]).values():
            altered.result(30)

    def topic_config(self, topic: str) -> Mapping[str, str]:
        """Return a topic's properties in force."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        admin = self._admin()  # must outlive its answers
        entries = admin.describe_configs([resource])[resource].result(30)
        return {name: str(entry.value) for name, entry in entries.items()}

    def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has."""
        return len(self._places(topic))

    def widen_topic(self, topic: str, partitions: int) -> None:
        """Give a topic more partitions, and wait until every one is led."""
        admin = self._admin()  # must outlive its answers
        for widened in admin.create_partitions([NewPartitions(topic, partitions)]).values():
            widened.result(30)
        wait_until(lambda: self._led({topic: partitions}), f"leaders of {topic}")

    def allow_records_of(self, topic: str, size: int) -> None:
        """Let a topic take records of so many bytes."""
        self.set_topic_config(topic, max_message_bytes=str(size))

    def delete_records_before(self, topic: str, offset: int) -> None:
        """Let retention take what lies before an offset in a topic's first partition."""
        places = [TopicPartition(topic, 0, offset)]
        admin = self._admin()  # must outlive its answers
        for deleted in admin.delete_records(places).values():
            deleted.result(30)

    def records(self, topic: str, *, isolation: str = "read_committed") -> list[Message]:
        """Return what a reader sees in a topic from its beginning to its present end.

        In order per partition; `read_committed` ends before the first open transaction.
        """
        reader = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": self.fresh_name("reader"),
                "isolation.level": isolation,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        try:
            places = self._places(topic)
            reader.assign([TopicPartition(topic, place, 0) for place in places])
            return list(_read_to_the_end(reader, topic, len(places)))
        finally:
            reader.close()

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return how far a group has come: offset by partition, where it has committed any."""
        asking = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group, "log_level": 0})
        try:
            places = [TopicPartition(topic, place) for place in self._places(topic)]
            answer = asking.committed(places, timeout=30)
            return {place.partition: place.offset for place in answer if place.offset >= 0}
        finally:
            asking.close()

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Put the offsets of a group without members where somebody wants them, by partition."""
        saying = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group, "log_level": 0})
        try:
            places = [TopicPartition(topic, place, offset) for place, offset in offsets.items()]
            saying.commit(offsets=places, asynchronous=False)
        finally:
            saying.close()

    def unstable(self, group: str, topic: str) -> dict[int, int]:
        """Return the partitions whose offsets a transaction is changing, with the last stable ones.

        That is what the broker says; it is asked for both.
        """
        answer = self._offsets(group, topic, stable=True)
        code = KafkaError.UNSTABLE_OFFSET_COMMIT
        unstable = {p.partition for p in answer if p.error is not None and p.error.code() == code}
        last = self._offsets(group, topic, stable=False)
        return {p.partition: p.offset for p in last if p.partition in unstable}

    def stable(self, group: str, topic: str) -> dict[int, int]:
        """Return a group's offsets that no transaction is changing, -1001 where there are none."""
        answer = self._offsets(group, topic, stable=True)
        return {place.partition: place.offset for place in answer if place.error is None}

    def _offsets(self, group: str, topic: str, *, stable: bool) -> list[TopicPartition]:
        asked = [TopicPartition(topic, place) for place in self._places(topic)]
        admin = self._admin()  # must outlive its answer
        answer = admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, asked)], require_stable=stable
        )
        places: list[TopicPartition] = answer[group].result(30).topic_partitions
        return places

    def forget(self, topic: str, before: Mapping[int, int]) -> None:
        """Delete a topic's records before these offsets, by partition, as retention would."""
        places = [TopicPartition(topic, place, offset) for place, offset in before.items()]
        admin = self._admin()  # must outlive its answers
        for deleted in admin.delete_records(places).values():
            deleted.result(30)

    def ends(self, topic: str, isolation: str = "read_uncommitted") -> dict[int, int]:
        """Return the offset after the last record of each partition, uncommitted ones included.

        With `read_committed` it is the last stable offset: that of the first open transaction.
        """
        asking = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": self.fresh_name("ends"),
                "isolation.level": isolation,
                "log_level": 0,
            }
        )
        try:
            return {
                place: asking.get_watermark_offsets(TopicPartition(topic, place), timeout=10)[1]
                for place in self._places(topic)
            }
        finally:
            asking.close()

    def start(self) -> None:
        """Start the broker, with what it kept, and wait until it answers (5 s after a kill)."""
        self.server.start()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until the broker lists its topics."""
        host, _, port = self.bootstrap.rpartition(":")

        def answers() -> bool:
            if not self.server.is_running:
                raise TimeoutError("the broker has ended")
            return listens(int(port), host) and self._answers()

        wait_until(answers, "the broker answers", PATIENCE)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def _answers(self) -> bool:
        try:
            return bool(self._admin().list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def _led(self, partitions: Mapping[str, int]) -> bool:
        topics = self._admin().list_topics(timeout=10).topics
        return all(
            topic in topics
            and len(topics[topic].partitions) == count
            and all(place.leader >= 0 for place in topics[topic].partitions.values())
            for topic, count in partitions.items()
        )

    def _places(self, topic: str) -> Sequence[int]:
        return sorted(self._admin().list_topics(topic, timeout=10).topics[topic].partitions)


def start_kafka(*, on_disk: bool = False) -> Kafka:
    """Start a broker, in a container or on the local JVM; raise `LeftOut` if neither can be had.

    Its logs lie in memory where there is room, unless they shall lie `on_disk` as those of ordinary
    brokers do.
    """
    return first_to_start([_in_a_container, lambda: _on_the_jvm(on_disk)])


def _in_a_container() -> Kafka:
    port = free_port()
    host = found.docker_engine() or LOOPBACK
    properties = PROPERTIES | {
        "controller.quorum.voters": "1@localhost:9093",
        "listeners": "BROKER://:9092,CONTROLLER://:9093",
        "advertised.listeners": f"BROKER://{host}:{port}",
    }
    environment = {
        f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in properties.items()
    }
    container = Container(f"apache/kafka:{VERSION}", 9092, environment, published=port)
    kafka = Kafka(f"{host}:{port}", server=container)
    start_or_leave_out(container, kafka.start)
    return kafka


def jars() -> Path:
    """Return the folder of a broker's jars; raise `LeftOut` if they cannot be had."""
    goal = [COPY_DEPENDENCIES, "-f", str(POM), "-DincludeScope=runtime"]
    return kept(f"kafka/{VERSION}", [*goal, f"-Dkafka.version={VERSION}"])


def tools() -> Path:
    """Return the folder of the jar with Kafka's own tools; raise `LeftOut` if it cannot be had."""
    artifact = f"-Dartifact=org.apache.kafka:kafka-tools:{VERSION}"
    return kept(f"kafka-tools/{VERSION}", [COPY, artifact])


def _on_the_jvm(on_disk: bool) -> Kafka:
    libraries = jars()
    place = "/var/tmp" if on_disk else memory_file_system()
    folder = Path(tempfile.mkdtemp(prefix="push-kafka-", dir=place))
    port = free_port()
    broker = _jvm_broker(libraries, folder, server_properties(folder, port, free_port()))
    kafka = Kafka(f"{LOOPBACK}:{port}", server=broker)
    start_or_leave_out(broker, kafka.start)
    return kafka


def server_properties(folder: Path, port: int, controller: int) -> dict[str, str]:
    """Return the properties of a broker on the local JVM."""
    return PROPERTIES | {
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "listeners": f"BROKER://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"BROKER://{LOOPBACK}:{port}",
        "log.dirs": str(folder / "logs"),
    }


def memory_file_system() -> str | None:
    """Return the memory file system if it has room for a broker's logs; None: the usual place."""
    place = Path("/dev/shm")
    if not os.access(place, os.W_OK):
        return None
    return str(place) if shutil.disk_usage(place).free >= ROOM else None


def _jvm_broker(libraries: Path, folder: Path, properties: Mapping[str, str]) -> Process:
    """Return a broker, formatted and not yet started, that owns its folder."""
    (folder / "run").mkdir()
    (folder / "log4j2.properties").write_text(LOGGING)
    lines = [f"{name}={value}\n" for name, value in properties.items()]
    (folder / "server.properties").write_text("".join(lines))
    environment = os.environ | {"CLASSPATH": f"{libraries}/*"}
    try:
        _format(folder, environment)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Process(
        command=[*_jvm(folder), "kafka.Kafka", folder / "server.properties"],
        folder=folder / "run",
        environment=environment,
        belongings=folder,
    )


def _format(folder: Path, environment: Mapping[str, str]) -> None:
    cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
    tool = [*_jvm(folder), "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}"]
    formatted = subprocess.run(
        [*map(str, tool), "-c", str(folder / "server.properties")],
        env=environment,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    if formatted.returncode:
        last = formatted.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise LeftOut(f"Apache Kafka's logs could not be formatted: {' '.join(last)}")


def _jvm(folder: Path) -> list[str | Path]:
    java = found.java()
    return [
        java or "java",
        "-Xms128m",
        "-Xmx384m",
        "-XX:ActiveProcessorCount=2",
        f"-Dlog4j2.configurationFile=file:{folder / 'log4j2.properties'}",
    ]


def _read_to_the_end(reader: Consumer, topic: str, partitions: int) -> Iterator[Message]:
    end = time.monotonic() + PATIENCE
    finished: set[int | None] = set()
    while len(finished) < partitions:
        if time.monotonic() > end:
            raise TimeoutError(f"did not come to the end of {topic}")
        message = reader.poll(0.2)
        if message is None:
            continue
        if message.error():  # the end of a partition; all else shows as never coming to it
            finished.add(message.partition())
        else:
            yield message
