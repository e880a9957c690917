"""One run of something that turns events into mails: a process, watched from outside.

What is measured is what a reader of the output sees: the instants at which mails were written and,
at a given rate, how long after its event each could be read. Nothing is believed: the output is
read back and counted.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from tests.benchmarks.worker.material import EVERY, events, place_of
from tests.campaigns.generated import UPDATED
from tests.campaigns.house import House
from tests.campaigns.reading import fields, whole
from tests.real.processes import Process

WARM_UP = 0.5  # seconds after the first mail that do not count
JOINED_WITHIN = 60.0  # seconds

Made = Callable[[Mapping[str, str], Path], Process]  # settings, folder → process not yet started


@dataclass(frozen=True, slots=True)
class Throughput:
    """How fast a backlog was worked off."""

    events_per_second: float
    cpu_us: float  #: of the process, for each event
    mails: int


@dataclass
class Bench:
    """A broker, rules and a backlog; each run has a group and outputs of its own."""

    house: House
    partitions: int = 4
    _runs: int = 0
    _backlog: int = 0
    _asking: dict[str, Consumer] = field(default_factory=dict)

    def write_backlog(self, count: int) -> None:
        """Write so many events; all runs read the same."""
        producer = Producer(
            {
                "bootstrap.servers": self.house.kafka.bootstrap,
                "queue.buffering.max.messages": 1_000_000,
                "linger.ms": 20,
                "log_level": 0,
            }
        )
        written = events(seed=1)
        for at in range(count):
            record = next(written)
            while True:
                try:
                    producer.produce(
                        self.house.topic(UPDATED),
                        record.value,
                        record.key,
                        partition=place_of(at, self.partitions),
                    )
                    break
                except BufferError:
                    producer.poll(0.05)
        producer.flush()
        self._backlog = count

    def settings(self, **more: str) -> dict[str, str]:
        """Return the settings of the next run over the backlog, its output topics made."""
        self._runs += 1
        name = f"{self.house.prefix}-{self._runs}"
        outputs = {n: f"{name}-{n}" for n in ("outgoing-mail", "dead-letter", "evaluation")}
        self.house.kafka.create_topics(dict.fromkeys(outputs.values(), 2))
        return {
            **self.house.environment,
            **{f"PUSH_TOPIC_{n.upper().replace('-', '_')}": t for n, t in outputs.items()},
            "PUSH_GROUP_ID": name,
            "PUSH_TRANSACTIONAL_ID": name,
            **more,
        }

    def settings_alone(self, **more: str) -> dict[str, str]:
        """Return the settings of the next run, which has an input of its own."""
        settings = self.settings(**more)
        topic = f"{settings['PUSH_GROUP_ID']}-input"
        self.house.kafka.create_topics({topic: self.partitions})
        return settings | {"PUSH_TOPIC_PAYMENT_STATUS_UPDATED": topic}

    def throughput(self, made: Made, settings: Mapping[str, str], at_most: float) -> Throughput:
        """Let a process work the backlog off, or as much as it can in so many seconds."""
        process = made(settings, self.house.folder / settings["PUSH_GROUP_ID"])
        process.start()
        try:
            self._wait_for_first(process, settings)
            began, cpu_before, done_before = time.monotonic(), _cpu(process), self._done(settings)
            while (done := self._done(settings)) < self._backlog:
                if time.monotonic() - began > at_most:
                    break
                time.sleep(0.05)
            cpu = _cpu(process) - cpu_before
        finally:
            process.end()
        mails = self._read_back(settings)
        cpu_us = 1e6 * cpu / max(1, done - done_before)
        return Throughput(self._rate(settings), cpu_us, mails)

    def _wait_for_first(self, process: Process, settings: Mapping[str, str]) -> None:
        end = time.monotonic() + JOINED_WITHIN
        while self._done(settings) == 0:
            if not process.is_running or time.monotonic() > end:
                raise TimeoutError(f"nothing is settled: {process.tail()}")
            time.sleep(0.02)

    def _done(self, settings: Mapping[str, str]) -> int:
        """Return how many events are settled."""
        group = settings["PUSH_GROUP_ID"]
        if group not in self._asking:
            self._asking[group] = Consumer(
                {
                    "bootstrap.servers": self.house.kafka.bootstrap,
                    "group.id": group,
                    "isolation.level": "read_uncommitted",  # or the answer waits for transactions
                    "log_level": 0,
                }
            )
        topic = self.house.topic(UPDATED)
        places = [TopicPartition(topic, place) for place in range(self.partitions)]
        try:
            answer = self._asking[group].committed(places, timeout=10)
        except KafkaException:
            return 0
        return sum(max(0, place.offset) for place in answer)

    def _rate(self, settings: Mapping[str, str]) -> float:
        """Return events a second, by the instants at which mails were written."""
        instants = sorted(self._instants(settings["PUSH_TOPIC_OUTGOING_MAIL"]))
        start = instants[0] + WARM_UP * 1000
        counted = [at for at in instants if at >= start]
        return EVERY * (len(counted) - 1) / ((counted[-1] - counted[0]) / 1000)

    def _instants(self, topic: str) -> list[int]:
        records = self.house.kafka.records(topic)
        return [message.timestamp()[1] for message in records]

    def _read_back(self, settings: Mapping[str, str]) -> int:
        """Return the number of mails; where evaluations are written they must agree."""
        mails = sum(
            1 for _ in whole(self.house.kafka.bootstrap, settings["PUSH_TOPIC_OUTGOING_MAIL"])
        )
        told = [
            fields("evaluation", record.value)["outcomes"].get("mailed", 0)
            for record in whole(self.house.kafka.bootstrap, settings["PUSH_TOPIC_EVALUATION"])
        ]
        assert mails == (sum(told) if told else mails), "mails and evaluations do not agree"
        return mails


def _cpu(process: Process) -> float:
    """Return the seconds of processor time that a process has used."""
    parts = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / 100  # utime and stime, in ticks of 10 ms


def percentile(values: list[float], share: float) -> float:
    """Return the value that a share of all stays below."""
    return statistics.quantiles(values, n=1000, method="inclusive")[int(share * 1000) - 1]
