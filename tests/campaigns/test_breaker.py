"""A topic full of damage, on real Kafka: the worker stops before it becomes dead letters."""

import json
from pathlib import Path

import pytest

from schemas.published import text_of
from tests.campaigns import generated
from tests.campaigns.house import House
from tests.campaigns.reading import records
from tests.campaigns.test_redriving import events, rules
from tests.conftest import Spawn
from tests.real.kafka import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

UPDATED = generated.UPDATED
SCHEMA = json.loads(text_of(UPDATED))
DAMAGED = 12  # more than the ten that suffice after a start


def last_words(house: House) -> str:
    """Return what a worker says that ends by itself, with the exit code for what is fatal."""
    worker = house.start("run")
    assert worker.wait(60) == 70
    return worker.errors()


def test_the_worker_stops_before_a_fault_of_ours_fills_the_dead_letters(
    kafka: Kafka, tmp_path: Path, spawn: Spawn
) -> None:
    house = House(kafka, tmp_path, spawn, kafka.fresh_name("house"))
    house.prepare(rules())
    damaged = [event | {"file_id": events()[0]["file_id"]} for event in events()[:4]] * 3
    house.feed(damaged, lambda event: generated.single_object(SCHEMA, event)[:40])

    first, restarted = last_words(house), last_words(house)

    assert "10 records in a row since the start could not be read" in first
    assert "PUSH_BREAKER=false" in first
    assert restarted == first
    assert records(kafka.bootstrap, house.topic("dead-letter"), idle=1.0) == []
    assert kafka.committed(house.prefix, house.topic(UPDATED)) == {}

    worker = house.start("run", PUSH_BREAKER="false")
    house.settled(DAMAGED)

    assert worker.stop() == 0
    letters = records(kafka.bootstrap, house.topic("dead-letter"), idle=1.0)
    assert [letter.headers["push.reason"] for letter in letters] == [b"undecodable"] * DAMAGED
