"""The rules' database stops under load: no event waits, no outcome changes, and all is caught up.

The suite stops it for a few seconds; OUTAGE=60 is the campaign.
"""

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.campaigns import generated
from tests.campaigns.house import House
from tests.campaigns.oracle import expected_mails
from tests.campaigns.reading import fields, records
from tests.campaigns.test_events_to_mails import single_object
from tests.conftest import Spawn
from tests.real.kafka import Kafka
from tests.real.postgresql import PostgreSQL
from tests.real.push_services import PushServices
from tests.real.waiting import free_port, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.postgresql, pytest.mark.timeout(400)]

OUTAGE = float(os.environ.get("OUTAGE", "8"))  # seconds
EVERY = 0.25  # seconds between two handfuls of events, and between two looks at the metrics
HANDFUL = 10
LONGEST_WAIT = (
    3.0  # seconds an event may be behind: an ordinary second of a busy machine, no outage
)
CAUGHT_UP_WITHIN = 2.0  # seconds


@dataclass
class Looks:
    """What the worker's metrics said, look by look."""

    worker: PushServices
    ages: list[float] = field(default_factory=list)
    behind: list[float] = field(default_factory=list)

    def look(self) -> None:
        said = self.worker.get("/metrics")[1]
        self.ages.append(max(figures(said, "push_rules_age_seconds")))
        self.behind.append(max(figures(said, "push_consumer_lag_seconds"), default=0.0))

    def generation(self) -> float:
        return max(figures(self.worker.get("/metrics")[1], "push_rules_generation"))


def figures(exposition: str, name: str) -> list[float]:
    """Return the values of a metric, whatever its labels."""
    pattern = rf"^{name}(?:{{[^}}]*}})? (\S+)$"
    return [float(value) for value in re.findall(pattern, exposition, re.MULTILINE)]


@dataclass
class Load:
    """Events that go on and on, handful by handful."""

    house: House
    events: Iterator[dict[str, Any]] = field(
        default_factory=lambda: generated.events(100_000, seed=5)
    )
    fed: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        stop = threading.Event()

        def feed() -> None:
            while not stop.wait(EVERY):
                handful = [next(self.events) for _ in range(HANDFUL)]
                self.house.feed(handful, single_object)
                self.fed += handful

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@pytest.fixture
def house(kafka: Kafka, postgresql: PostgreSQL, tmp_path: Path, spawn: Spawn) -> House:
    return House(kafka, tmp_path, spawn, kafka.fresh_name("out"), database_url=postgresql.url())


def test_a_stopped_database_holds_up_no_event_and_its_changes_are_caught_up(
    house: House, postgresql: PostgreSQL, spawn: Spawn
) -> None:
    # Would catch: a store that cannot be reached taken for an empty one (planted: mails were
    # missing), a connection that is not made anew, a batch that waits for the database.
    rules = generated.rules_file(seed=8)
    house.prepare(rules)
    settings = house.environment | {"PUSH_HTTP_PORT": str(free_port())}
    worker = spawn("run", settings=settings)
    worker.wait_until_ready()
    looks, load = Looks(worker), Load(house)

    with load.going_on():
        wait_until(lambda: len(load.fed) >= 4 * HANDFUL, "events flow")
        postgresql.stop()
        end = time.monotonic() + OUTAGE
        while time.monotonic() < end:
            looks.look()
            time.sleep(EVERY)
        postgresql.start()
        changed = change_rules(house.database_url)
        began = time.monotonic()
        wait_until(lambda: looks.generation() >= changed, "the changes are felt", 30)
        caught_up = time.monotonic() - began
    house.settled(len(load.fed))

    assert caught_up <= CAUGHT_UP_WITHIN
    assert max(looks.behind) <= LONGEST_WAIT
    assert looks.ages[-1] >= OUTAGE - 2 * EVERY
    assert looks.ages == sorted(looks.ages)
    assert mailed(house) == set(expected_mails(rules["tenants"], load.fed))
    assert worker.process.stop() == 0


def change_rules(url: str) -> int:
    """Change what changes no outcome, in transactions of its own each; return the generation."""
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(20):
            subject = f"{number}: {{{{ status }}}}"
            connection.execute("UPDATE push_rules SET subject = %s", (subject,))
        found = connection.execute("SELECT generation FROM push_rules_generation").fetchone()
    assert found is not None
    return int(found[0])


def mailed(house: House) -> set[str]:
    """Return the ids of all mails; each is there once."""
    seen = records(house.kafka.bootstrap, house.topic("outgoing-mail"))
    ids = [fields("outgoing-mail", record.value)["mail_id"] for record in seen]
    assert len(ids) == len(set(ids))
    return set(ids)
