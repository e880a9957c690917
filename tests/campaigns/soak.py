"""`make soak`: half an hour of overload, and the worker's memory does not grow.

One worker, always behind, one event in twenty mailed. Its limit of remembered ids is reached within
the first minutes; what it holds resident from then on is measured, every few seconds, to the end.
What is settled is deleted from the broker, so that half an hour fits anywhere.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from confluent_kafka import Producer

from tests.benchmarks.figures import Figure, at_least, at_most, machine, report, told
from tests.benchmarks.worker.material import EVERY, events, place_of, rules
from tests.campaigns.generated import UPDATED
from tests.campaigns.house import House
from tests.conftest import spawning
from tests.real.kafka import start_kafka
from tests.real.processes import Process

PARTITIONS = 4  # of the input topic, as the house makes them
AHEAD = 100_000  # events that wait for the worker: it is never done
LOOK = 2.0  # seconds between two looks at memory and progress
FILLED_BY = 1 / 6  # of the time: 5 minutes of 30, until which the limit must be reached
GROWTH = 0.05


@dataclass
class Soak:
    """A worker, the events it is given, and what it was seen to hold."""

    house: House
    worker: Process
    limit: int  #: ids that it remembers at most
    written: int = 0
    settled: int = 0
    resident: list[tuple[float, int]] = field(default_factory=list)  #: seconds, bytes
    filled_after: float | None = None  #: seconds until the limit was reached

    def run(self, seconds: float) -> None:
        """Keep the worker behind for so long, looking at it meanwhile."""
        producer = Producer(
            {
                "bootstrap.servers": self.house.kafka.bootstrap,
                "queue.buffering.max.messages": 1_000_000,
                "linger.ms": 20,
                "log_level": 0,
            }
        )
        written, began = events(seed=1), time.monotonic()
        for look in count(1):
            for at in range(self.written, self.settled + AHEAD):
                record = next(written)
                place = place_of(at, PARTITIONS)
                producer.produce(self.house.topic(UPDATED), record.value, record.key, place)
            self.written = self.settled + AHEAD
            producer.flush()
            time.sleep(max(0.0, began + look * LOOK - time.monotonic()))
            self._look(time.monotonic() - began)
            if look % 15 == 0:
                self._tidy()
            if time.monotonic() - began > seconds:
                return

    def _look(self, now: float) -> None:
        self.settled = sum(self._committed().values())
        self.resident.append((now, resident(self.worker.pid)))
        if self.filled_after is None and self.settled / EVERY > self.limit:
            self.filled_after = now

    def _committed(self) -> dict[int, int]:
        return self.house.kafka.committed(self.house.prefix, self.house.topic(UPDATED))

    def _tidy(self) -> None:
        """Say how it stands, and delete what nobody will read again."""
        now, held = self.resident[-1]
        print(f"{now:.0f} s: {self.settled} events settled, {held / 2**20:.1f} MiB", flush=True)
        self.house.kafka.forget(self.house.topic(UPDATED), self._committed())
        for name in ("outgoing-mail", "evaluation"):
            topic = self.house.topic(name)
            self.house.kafka.forget(topic, self.house.kafka.ends(topic))

    def figures(self, seconds: float) -> Iterator[Figure]:
        """Yield what it came to."""
        filled = self.filled_after or float("inf")
        start = max(filled, seconds * FILLED_BY)
        steady = [held for at, held in self.resident if at >= start]
        tenth = max(1, len(steady) // 10)
        before, after = statistics.median(steady[:tenth]), statistics.median(steady[-tenth:])
        yield told("soak_seconds", self.resident[-1][0])
        yield told("soak_events_settled", self.settled)
        yield at_least("soak_events_behind_at_the_end", self.written - self.settled, 1)
        yield at_most("soak_limit_reached_after_seconds", filled, seconds * FILLED_BY)
        yield told("soak_resident_mib_then", before / 2**20)
        yield told("soak_resident_mib_at_the_end", after / 2**20)
        yield told("soak_resident_mib_at_most", max(steady) / 2**20)
        yield at_most("soak_growth", after / before - 1, GROWTH)


def resident(pid: int) -> int:
    """Return the bytes of memory that a process holds resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def main() -> int:
    """Soak and return the exit code."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--limit", type=int, default=40_000, help="ids that the worker remembers")
    given = parser.parse_args()
    print(machine(), flush=True)
    kafka = start_kafka()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="push-soak-") as place,
            spawning(Path(place)) as spawn,
        ):
            house = House(kafka, Path(place), spawn, kafka.fresh_name("soak"))
            house.prepare(rules())
            # Its log, a line for each batch, would fill the folder and shows nothing here.
            quiet = {"PUSH_REPEATS_LIMIT": str(given.limit), "PUSH_LOG_LEVEL": "WARNING"}
            soak = Soak(house, house.start("run", **quiet), given.limit)
            soak.run(given.minutes * 60)
            code = soak.worker.stop()
            figures = [*soak.figures(given.minutes * 60), at_most("soak_exit_code", code, 0)]
            return report(figures)
    finally:
        kafka.end()


if __name__ == "__main__":
    sys.exit(main())
