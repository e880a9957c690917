"""`make bench-delivery`: `deliver` as deployed beside two simpler ways, at 0 and 10 ms round trip.

Deployed it is as many processes as its manifest has replicas, with one ledger. At 0 ms one alone is
told beside; at 10 ms one alone is what is held to the bars.

All in one run on one broker, each with a fresh topic, a fresh ledger and a fresh sink of the same
kind, in turn: a ratio is that of one round, and the median of the rounds counts. A rate is the
mails that came after the first, by the time between the first and the last.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from mailer.migrating import upgrade
from tests.benchmarks.delivery.load import publish
from tests.benchmarks.figures import Figure, at_least, machine, report, spread, told
from tests.real.kafka import Kafka, start_kafka
from tests.real.postgresql import PostgreSQL, start_postgresql
from tests.real.processes import Process
from tests.real.push_services import clean_environment, spawned
from tests.real.recording_sink import RecordingSink, Taken, recording_sink
from tests.real.waiting import LOOPBACK

FAR = 0.010  # seconds of a round trip
PATIENCE = 300.0
PARTITIONS = 2
MANIFEST = Path(__file__).parents[3] / "deploy" / "kustomize" / "base" / "deliver-deployment.yaml"


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="make bench-delivery", description=__doc__)
    parser.add_argument("--mails", type=int, default=6_000, help="of `deliver` and the threads")
    parser.add_argument("--loop_mails", type=int, default=600, help="of the loop, at 0 ms")
    parser.add_argument("--far_mails", type=int, default=150, help="of the loop, at 10 ms")
    parser.add_argument("--rounds", type=int, default=5, help="at 0 ms; half as many at 10 ms")
    return parser.parse_args()


@dataclass(frozen=True, slots=True)
class Bench:
    """The parts that all ways share."""

    kafka: Kafka
    postgresql: PostgreSQL
    folder: Path

    def deliver(self, processes: int, count: int, delay: float) -> float:
        """Return the rate of `deliver`, with its defaults, as so many processes."""
        with self._filled(count, delay) as (topic, sink, folder):
            url = self.postgresql.url()
            upgrade(url)
            settings = {
                "PUSH_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
                "PUSH_GROUP_ID": topic,
                "PUSH_TOPIC_OUTGOING_MAIL": topic,
                "PUSH_TOPIC_OUTGOING_MAIL_UNDELIVERABLE": f"{topic}-undeliverable",
                "PUSH_TOPIC_DEAD_LETTER": f"{topic}-dead-letter",
                "PUSH_DATABASE_URL": url,
                "PUSH_TOKEN_KEY": "a key for measuring",
                "PUSH_SMTP_HOST": LOOPBACK,
                "PUSH_SMTP_PORT": str(sink.port),
                "PUSH_SMTP_TLS": "none",
            }
            with ExitStack() as running:
                for name in (f"{topic}-{number}" for number in range(processes)):
                    own = {**settings, "PUSH_TRANSACTIONAL_ID": name}
                    daemon = spawned("deliver", settings=own, folder=folder / name)
                    running.callback(daemon.process.end)
                sink.wait_for(count, PATIENCE)
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


def in_turn(
    rounds: int, delay: float, ways: Mapping[str, Callable[[], float]]
) -> Mapping[str, Sequence[float]]:
    """Measure each way once a round, so that a slow minute of the machine meets them all."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, measure in ways.items():
            rates[name].append(measure())
    for name, measured in rates.items():
        tell(f"{name}, {delay * 1000:.0f} ms: {spread(measured)} mails/s")
    return rates


def over(rates: Mapping[str, Sequence[float]], one: str, other: str) -> float:
    """Return how many times as fast one way is as another: the median of the rounds' ratios."""
    ratios = [a / b for a, b in zip(rates[one], rates[other], strict=True)]
    tell(f"{one} over {other}: {spread(ratios)}")
    return statistics.median(ratios)


def replicas() -> int:
    """Return how many processes `deliver` is deployed as."""
    return int(yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))["spec"]["replicas"])


def run(bench: Bench, given: argparse.Namespace) -> list[Figure]:
    """Measure all ways."""
    deployed, alone = partial(bench.deliver, replicas()), partial(bench.deliver, 1)
    near = in_turn(
        given.rounds,
        0.0,
        {
            "deliver": partial(deployed, given.mails, 0.0),
            "deliver_alone": partial(alone, given.mails, 0.0),
            "loop": partial(bench.loop, given.loop_mails, 0.0),
        },
    )
    far = in_turn(
        max(1, given.rounds // 2),
        FAR,
        {
            "deliver": partial(deployed, given.mails, FAR),
            "deliver_alone": partial(alone, given.mails, FAR),
            "threads": partial(bench.threads, given.mails, FAR),
            "loop": partial(bench.loop, given.far_mails, FAR),
        },
    )
    return [
        *(told(f"{name}_mails_per_second_0ms", statistics.median(near[name])) for name in near),
        *(told(f"{name}_mails_per_second_10ms", statistics.median(far[name])) for name in far),
        told("deliver_alone_over_loop_0ms", over(near, "deliver_alone", "loop")),
        at_least("deliver_over_loop_0ms", over(near, "deliver", "loop"), 3.0),
        at_least("deliver_over_loop_10ms", over(far, "deliver_alone", "loop"), 5.0),
        at_least("deliver_over_threads_10ms", over(far, "deliver_alone", "threads"), 1.5),
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
