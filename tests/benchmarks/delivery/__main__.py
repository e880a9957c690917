"""`make bench-delivery`: `deliver` as deployed beside two simpler ways, at 0 and 10 ms round trip.

All in one run on one broker, each with a fresh topic, a fresh ledger and a fresh sink of the same
kind. A rate is the mails that came after the first, by the time between the first and the last.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailer.migrating import upgrade
from tests.benchmarks.delivery.load import publish
from tests.benchmarks.figures import Figure, at_least, machine, report, told
from tests.real.kafka import Kafka, start_kafka
from tests.real.postgresql import PostgreSQL, start_postgresql
from tests.real.processes import Process
from tests.real.push_services import clean_environment, spawned
from tests.real.recording_sink import RecordingSink, Taken, recording_sink
from tests.real.waiting import LOOPBACK

FAR = 0.010  # seconds of a round trip
PATIENCE = 300.0
PARTITIONS = 2


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="make bench-delivery", description=__doc__)
    parser.add_argument("--mails", type=int, default=6_000, help="of `deliver` and the threads")
    parser.add_argument("--loop_mails", type=int, default=600, help="of the loop, at 0 ms")
    parser.add_argument("--far_mails", type=int, default=150, help="of the loop, at 10 ms")
    parser.add_argument("--repeats", type=int, default=2, help="the best of so many counts")
    return parser.parse_args()


@dataclass(frozen=True, slots=True)
class Bench:
    """The parts that all ways share."""

    kafka: Kafka
    postgresql: PostgreSQL
    folder: Path

    def deliver(self, count: int, delay: float) -> float:
        """Return the rate of `deliver` as deployed, with its defaults."""
        with self._filled(count, delay) as (topic, sink, folder):
            url = self.postgresql.url()
            upgrade(url)
            settings = {
                "PUSH_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
                "PUSH_GROUP_ID": topic,
                "PUSH_TRANSACTIONAL_ID": topic,
                "PUSH_TOPIC_OUTGOING_MAIL": topic,
                "PUSH_TOPIC_OUTGOING_MAIL_UNDELIVERABLE": f"{topic}-undeliverable",
                "PUSH_TOPIC_DEAD_LETTER": f"{topic}-dead-letter",
                "PUSH_DATABASE_URL": url,
                "PUSH_TOKEN_KEY": "a key for measuring",
                "PUSH_SMTP_HOST": LOOPBACK,
                "PUSH_SMTP_PORT": str(sink.port),
                "PUSH_SMTP_TLS": "none",
            }
            daemon = spawned("deliver", settings=settings, folder=folder / "deliver")
            try:
                sink.wait_for(count, PATIENCE)
            finally:
                daemon.process.end()
            return rate(sink.taken(), count)

    def loop(self, count: int, delay: float) -> float:
        """Return the rate of the loop."""
        return self._simpler("loop", count, delay)

    def threads(self, count: int, delay: float) -> float:
        """Return the rate of the threads."""
        url = self.postgresql.url()
        upgrade(url)
        return self._simpler("threads", count, delay, "--url", url)

    def _simpler(self, way: str, count: int, delay: float, *more: str) -> float:
        with self._filled(count, delay) as (topic, sink, folder):
            (folder / way).mkdir()
            given = ["--bootstrap", self.kafka.bootstrap, "--topic", topic]
            given += ["--count", str(count), "--port", str(sink.port), *more]
            module = [sys.executable, "-m", "tests.benchmarks.delivery.simpler", way]
            process = Process(
                command=[*module, *given], folder=folder / way, environment=clean_environment()
            )
            process.start()
            try:
                sink.wait_for(count, PATIENCE)
            finally:
                process.end()
            return rate(sink.taken(), count)

    @contextmanager
    def _filled(self, count: int, delay: float) -> Iterator[tuple[str, RecordingSink, Path]]:
        """Give a topic with so many mails, a sink and a folder."""
        topic = self.kafka.fresh_name("mails")
        folder = self.folder / topic
        self.kafka.create_topics({topic: PARTITIONS})
        self.kafka.create_topics(
            {f"{topic}-{name}": 1 for name in ("undeliverable", "dead-letter")}
        )
        publish(self.kafka.bootstrap, topic, count, topic)
        with recording_sink(folder / "sink", delay) as sink:
            yield topic, sink, folder


def rate(taken: list[Taken], count: int) -> float:
    """Return mails a second, or raise if one is missing or came twice."""
    if len({one.mail_id for one in taken}) != count or len(taken) != count:
        raise AssertionError(f"{len(taken)} of {count} mails came")
    return (count - 1) / (taken[-1].at - taken[0].at)


def best(
    repeats: int, name: str, measure: Callable[[int, float], float], count: int, delay: float
) -> float:
    """Return the best of so many measurements, and say each."""
    rates = [measure(count, delay) for _ in range(repeats)]
    tell(f"{name}: {', '.join(f'{one:.0f}' for one in rates)} mails/s")
    return max(rates)


def run(bench: Bench, given: argparse.Namespace) -> list[Figure]:
    """Measure all ways."""
    again = given.repeats
    near = best(again, "deliver, 0 ms", bench.deliver, given.mails, 0.0)
    near_loop = best(again, "loop, 0 ms", bench.loop, given.loop_mails, 0.0)
    far = best(again, "deliver, 10 ms", bench.deliver, given.mails, FAR)
    far_threads = best(again, "16 threads, 10 ms", bench.threads, given.mails, FAR)
    far_loop = best(1, "loop, 10 ms", bench.loop, given.far_mails, FAR)
    return [
        told("deliver_mails_per_second_0ms", near),
        told("deliver_mails_per_second_10ms", far),
        told("loop_mails_per_second_0ms", near_loop),
        told("loop_mails_per_second_10ms", far_loop),
        told("threads_mails_per_second_10ms", far_threads),
        at_least("deliver_over_loop_0ms", near / near_loop, 3.0),
        at_least("deliver_over_loop_10ms", far / far_loop, 5.0),
        at_least("deliver_over_threads_10ms", far / far_threads, 1.5),
    ]


def tell(line: str) -> None:
    """Say something about the course."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def main(given: argparse.Namespace) -> int:
    """Measure on a broker and a database of their own."""
    tell(machine())
    kafka, postgresql = start_kafka(), start_postgresql()
    try:
        with tempfile.TemporaryDirectory(prefix="push-bench-delivery-") as folder:
            return report(run(Bench(kafka, postgresql, Path(folder)), given))
    finally:
        postgresql.end()
        kafka.end()


if __name__ == "__main__":
    sys.exit(main(options()))
