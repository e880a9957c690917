"""The main job on real Kafka: two workers, ten thousand events, exactly the oracle's mails."""

import json
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer.registry import Registry as RegistryClient
from schemas.published import text_of
from tests.campaigns import generated
from tests.campaigns.house import INPUTS, PATIENCE, Encode, House
from tests.campaigns.oracle import expected_mails
from tests.campaigns.reading import Seen, fields, records
from tests.conftest import Spawn
from tests.real.kafka import Kafka
from tests.real.processes import Process
from tests.real.registry import Registry
from tests.real.waiting import wait_until

EVENTS = 10_000
KILLS, PORTION = 6, 200  # of workers; events fed at a time
#: A worker that was killed is missed for so long: with the default, of 15 s, tests would wait.
KILLED_OFTEN = {"PUSH_KAFKA_SESSION_TIMEOUT_MS": "6000"}

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]


@pytest.fixture
def house(kafka: Kafka, tmp_path: Path, spawn: Spawn) -> House:
    return House(kafka, tmp_path, spawn, kafka.fresh_name("house"))


def single_object(event: dict[str, Any]) -> bytes:
    return generated.single_object(_schema(generated.topic_of(event)), event)


def _schema(name: str) -> Any:
    return json.loads(text_of(name))


def test_two_workers_make_exactly_the_mails_that_brute_force_expects(house: House) -> None:
    assert_exact(house, single_object, {}, b"\xc3\x01")


@pytest.mark.registry
def test_the_same_with_confluent_framing_through_a_registry(
    house: House, registry: Registry
) -> None:
    ids = {
        name: RegistryClient(registry.url).register(f"{house.topic(name)}-value", name)
        for name in INPUTS
    }

    def encode(event: dict[str, Any]) -> bytes:
        name = generated.topic_of(event)
        return generated.confluent(_schema(name), ids[name], event)

    assert_exact(house, encode, {"PUSH_SCHEMA_REGISTRY_URL": registry.url}, b"\x00")


def assert_exact(house: House, encode: Encode, extra: dict[str, str], framing: bytes) -> None:
    rules, events = generated.rules_file(seed=1), list(generated.events(EVENTS, seed=2))
    house.prepare(rules)
    expected = expected_mails(rules["tenants"], events)
    assert len(expected) > EVENTS / 10  # else the test would show nothing

    workers = [
        house.start("run", **extra, PUSH_TRANSACTIONAL_ID=f"{house.prefix}-{n}") for n in (1, 2)
    ]
    house.feed(events, encode)
    evaluations = house.settled(EVENTS)
    for worker in workers:
        assert worker.stop() == 0

    mails = records(house.kafka.bootstrap, house.topic("outgoing-mail"))
    assert_mails(mails, expected, framing)
    assert_ranges(evaluations, EVENTS)
    assert records(house.kafka.bootstrap, house.topic("dead-letter"), idle=1.0) == []


def assert_mails(mails: list[Seen], expected: dict[str, Any], framing: bytes) -> None:
    found = [fields("outgoing-mail", record.value) for record in mails]
    assert all((record.value or b"").startswith(framing) for record in mails)
    assert Counter(mail["mail_id"] for mail in found) == Counter(list(expected))
    told = {
        mail["mail_id"]: (mail["tenant_id"], mail["event_id"], mail["rule_id"], mail["recipient"])
        for mail in found
    }
    assert told == expected
    for record, mail in zip(mails, found, strict=True):
        assert record.key == (mail["file_id"] or mail["event_id"]).encode()


def assert_ranges(evaluations: list[Seen], count: int) -> None:
    """Every offset lies in exactly one range, and the ranges' counts add up."""
    offsets: Counter[tuple[str, int, int]] = Counter()
    for record in evaluations:
        told = fields("evaluation", record.value)
        span = range(told["first_offset"], told["last_offset"] + 1)
        assert len(span) == sum(told["outcomes"].values())
        offsets.update((told["topic"], told["partition"], offset) for offset in span)
    assert len(offsets) == count
    assert set(offsets.values()) == {1}


def test_changed_rules_are_felt_without_a_restart(house: House) -> None:
    rules = generated.rules_file(seed=1)
    event = next(
        e for e in generated.events(100, seed=3) if e["tenant_id"] == "m-1" and "status" not in e
    )
    house.prepare(rules)
    worker = house.start("run")
    house.feed([event], single_object)
    house.settled(1)
    before = len(records(house.kafka.bootstrap, house.topic("outgoing-mail"), idle=1.0))

    tenant = next(t for t in rules["tenants"] if t["id"] == "m-1")
    tenant["rules"] = [r for r in tenant["rules"] if r["id"] != "r-file"]
    file = house.folder / "rules.yaml"
    file.write_text(yaml.safe_dump(rules, allow_unicode=True), encoding="utf-8")
    house.command("rules", "apply", str(file))
    time.sleep(1.0)  # the promise: felt within a second
    house.feed([event], single_object)
    house.settled(2)
    after = len(records(house.kafka.bootstrap, house.topic("outgoing-mail"), idle=1.0))

    assert worker.stop() == 0
    assert before > 0
    assert after == before


def test_killed_workers_lose_nothing_and_double_nothing(house: House) -> None:
    rules, supply = generated.rules_file(seed=11), generated.events(10**6, seed=12)
    house.prepare(rules)
    fed: list[dict[str, Any]] = []

    def start(name: str) -> Process:
        return house.start("run", **KILLED_OFTEN, PUSH_TRANSACTIONAL_ID=name)

    def feed_some() -> None:
        fed.extend(islice(supply, PORTION))
        house.feed(fed[-PORTION:], single_object)

    def is_at_work(worker: Process) -> bool:
        """Feed on: what waited when it came may all be another's, and then it settles nothing."""
        feed_some()
        with suppress(TimeoutError):
            worker.wait_for_output("batch_settled", within=1.0)
            return True
        return False

    names = [f"{house.prefix}-{n}" for n in (1, 2)]
    workers = {name: start(name) for name in names}
    for kill in range(KILLS):
        name = names[kill % 2]
        wait_until(partial(is_at_work, workers[name]), f"{name} settles something", PATIENCE)
        feed_some()
        workers[name].kill()
        workers[name] = start(name)
    evaluations = house.settled(len(fed))
    for worker in workers.values():
        assert worker.stop() == 0

    mails = records(house.kafka.bootstrap, house.topic("outgoing-mail"))
    assert_mails(mails, expected_mails(rules["tenants"], fed), b"\xc3\x01")
    assert_ranges(evaluations, len(fed))
