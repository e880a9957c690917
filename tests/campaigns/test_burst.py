"""A burst of a hundred times the usual load is worked off, and holds no more memory than it may."""

import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.benchmarks.worker.material import EVERY, Written, events, place_of, rules
from tests.campaigns.generated import UPDATED
from tests.campaigns.house import House
from tests.campaigns.reading import whole
from tests.campaigns.soak import PARTITIONS, resident
from tests.conftest import Spawn
from tests.real.kafka import Kafka
from tests.real.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(280)]

MAILS = "outgoing-mail"
USUAL = 200  # events a second
BURST = 100 * USUAL
SECONDS = 10  # that the burst takes
WORKED_OFF_WITHIN = 90  # seconds from its end on
# The client fetches at most 32 MiB ahead, which its own records double; a batch is 5,000 events.
GROWTH = 128 * 2**20


@pytest.fixture
def house(kafka: Kafka, tmp_path: Path, spawn: Spawn) -> House:
    return House(kafka, tmp_path, spawn, kafka.fresh_name("burst"))


class Load:
    """Events at a pace."""

    def __init__(self, house: House) -> None:
        self._topic = house.topic(UPDATED)
        self._events: Iterator[Written] = events(seed=3)
        self._producer = Producer(
            {
                "bootstrap.servers": house.kafka.bootstrap,
                "queue.buffering.max.messages": 1_000_000,
                "linger.ms": 5,
                "log_level": 0,
            }
        )
        self.written = 0

    def feed(self, seconds: int, pace: int) -> None:
        """Write so many events each second; a second that took longer is not made up for."""
        for _ in range(seconds):
            began = time.monotonic()
            for record in islice(self._events, pace):
                place = place_of(self.written, PARTITIONS)
                self._producer.produce(self._topic, record.value, record.key, place)
                self.written += 1
            self._producer.flush(30)
            time.sleep(max(0.0, began + 1 - time.monotonic()))


def test_a_hundredfold_burst_is_worked_off_in_bounded_memory(house: House) -> None:
    # Would catch: records that pile up in the process, a worker that falls out of its group while
    # it is behind, mails lost or doubled by either.
    house.prepare(rules())
    worker, load = house.start("run", PUSH_LOG_LEVEL="WARNING"), Load(house)
    load.feed(3, USUAL)
    settles(house, load.written)
    before = resident(worker.pid)

    load.feed(SECONDS, BURST)
    held = [resident(worker.pid)]

    def worked_off() -> bool:
        held.append(resident(worker.pid))
        return settled(house) == load.written

    wait_until(worked_off, "the burst is worked off", WORKED_OFF_WITHIN)
    assert load.written == 3 * USUAL + SECONDS * BURST
    assert max(held) - before <= GROWTH
    assert worker.stop() == 0
    mails = Counter(record.value for record in whole(house.kafka.bootstrap, house.topic(MAILS)))
    assert mails.total() == len(mails) == load.written // EVERY


def settled(house: House) -> int:
    return sum(house.kafka.committed(house.prefix, house.topic(UPDATED)).values())


def settles(house: House, count: int) -> None:
    wait_until(lambda: settled(house) == count, f"{count} events are settled", 60)
