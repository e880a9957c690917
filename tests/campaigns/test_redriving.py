"""Fail, mend, redrive, with real processes on real Kafka: one mail record each, whatever dies."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.published import text_of
from tests.campaigns import generated
from tests.campaigns.house import House
from tests.campaigns.oracle import expected_mails
from tests.campaigns.reading import fields, records
from tests.conftest import Spawn
from tests.real.kafka import Kafka
from tests.real.processes import Process
from tests.real.push_services import clean_environment

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

UPDATED = generated.UPDATED
SCHEMA = json.loads(text_of(UPDATED))
EVENTS = 5


@pytest.fixture
def house(kafka: Kafka, tmp_path: Path, spawn: Spawn) -> House:
    house = House(kafka, tmp_path, spawn, kafka.fresh_name("house"))
    house.prepare(rules())
    return house


def rules() -> dict[str, Any]:
    """Return two rules that want the same events, and have one recipient in common."""
    users = [{"id": f"u-{n}", "name": "Eins", "email": f"u{n}@m-1.example"} for n in (1, 2)]
    tenant = {"id": "m-1", "name": "Eins GmbH", "users": users, "bank_accounts": []}
    both = [a_rule("r-1", "u-1", "u-2"), a_rule("r-2", "u-2")]
    return {"version": 1, "tenants": [tenant | {"rules": both}]}


def a_rule(name: str, *recipients: str) -> dict[str, Any]:
    return {
        "id": name,
        "description": f"Regel {name}",
        "event": UPDATED,
        "statuses": ["FIN_REJECTED"],
        "bank_accounts": "all",
        "subject": "{{ status }}",
        "internal_recipients": list(recipients),
    }


def events() -> list[dict[str, Any]]:
    return [
        {
            "event_id": f"98ab19bc-ef72-47fe-a4b0-{number:012d}",
            "tenant_id": "m-1",
            "status": "FIN_REJECTED",
            "account_ids": [],
            "occurred_at": 1_773_212_561_000,
            "file_id": f"7125993b-ad3c-464b-9a2d-{number:012d}",
        }
        for number in range(EVENTS)
    ]


def encoded(event: dict[str, Any]) -> bytes:
    return generated.single_object(SCHEMA, event)


def a_bad_deploy(house: House, fault: str) -> Process:
    """Start a worker with a planted fault; it ends with the test, as `settle` stops it."""
    folder = house.folder / "bad-deploy"
    folder.mkdir()
    process = Process(
        command=[sys.executable, "-m", "tests.campaigns.bad_deploy", fault, "run"],
        folder=folder,
        environment=clean_environment() | house.environment,
    )
    process.start()
    return process


def redrive_all(house: House) -> Process:
    return house.spawn("dead-letters", "redrive", "--all", settings=house.environment).process


def settle(house: House, worker: Process, count: int) -> None:
    """Wait until so many input records were settled, and stop the worker."""
    try:
        house.settled(count)
        assert worker.stop() == 0, worker.tail()
    finally:
        worker.end()


def mails_by_rule(house: House) -> Counter[str]:
    return Counter(mail["rule_id"] for mail in mails(house))


def mails(house: House) -> list[dict[str, Any]]:
    found = records(house.kafka.bootstrap, house.topic("outgoing-mail"), idle=1.0)
    return [fields("outgoing-mail", mail.value) for mail in found]


def listed(house: House, *options: str) -> list[dict[str, Any]]:
    lines = house.command("dead-letters", "list", "--json", *options).splitlines()
    return [json.loads(line) for line in lines]


def expected() -> list[str]:
    return sorted(expected_mails(rules()["tenants"], events()))


def test_a_rules_share_that_failed_is_mailed_once_and_no_other_rule_again(house: House) -> None:
    house.feed(events(), encoded)
    settle(house, a_bad_deploy(house, "rule:r-1"), EVENTS)
    assert mails_by_rule(house) == {"r-2": EVENTS}
    letters = listed(house, "--rule", "r-1", "--tenant", "m-1", "--reason", "render_failed")
    assert [letter["redriven"] for letter in letters] == [False] * EVENTS

    house.command("dead-letters", "redrive", "--rule", "r-1")
    again = redrive_all(house)
    settle(house, house.start("run"), 2 * EVENTS)

    assert again.wait(60) == 0
    assert f"{EVENTS} were redriven before" in again.errors()
    assert [letter["redriven"] for letter in listed(house)] == [True] * EVENTS
    assert mails_by_rule(house) == {"r-1": 2 * EVENTS, "r-2": EVENTS}
    assert sorted(mail["mail_id"] for mail in mails(house)) == expected()


def test_a_record_that_could_not_be_read_is_judged_wholly_once_it_can(house: House) -> None:
    house.feed(events(), encoded)
    settle(house, a_bad_deploy(house, "records"), EVENTS)
    assert mails(house) == []
    place = listed(house, "--reason", "internal")[0]["place"]
    shown = json.loads(house.command("dead-letters", "show", place))
    assert (shown["routing"]["tenant_id"], shown["redriven"]) == ("m-1", False)

    assert "redriven" in house.command("dead-letters", "redrive", "--all", "--dry-run", "--json")
    house.command("dead-letters", "redrive", "--all")
    settle(house, house.start("run"), 2 * EVENTS)

    assert sorted(mail["mail_id"] for mail in mails(house)) == expected()
    assert json.loads(house.command("dead-letters", "show", place))["redriven"]


LETTERS = 8_000


def test_a_redrive_killed_again_and_again_puts_every_letter_back_once(house: House) -> None:
    _plant_letters(house)
    kills = 0

    while kills < 3:
        process = redrive_all(house)
        if not _killed_once_it_has_begun(house, process):
            break
        kills += 1
    house.command("dead-letters", "redrive", "--all")

    assert kills >= 2, "the redrive was through before it could be killed"
    assert Counter(_put_back(house)) == Counter(range(LETTERS))


def _killed_once_it_has_begun(house: House, process: Process) -> bool:
    """Kill a redrive after its first chunk; False if it was through before."""
    before = _written(house)
    while process.is_running:
        if _written(house) > before:
            process.kill()
            return True
    return False


def _written(house: House) -> int:
    return sum(house.kafka.ends(house.topic(UPDATED)).values())


def _put_back(house: House) -> list[int]:
    found = records(house.kafka.bootstrap, house.topic(UPDATED), idle=1.0)
    return [int((record.value or b"-1").decode()) for record in found]


def _plant_letters(house: House) -> None:
    """Write dead letters as a worker of the group does, of records that say their number."""
    producer = Producer({"bootstrap.servers": house.kafka.bootstrap, "linger.ms": 20})
    for number in range(LETTERS):
        headers: dict[str, str | bytes | None] = {
            "push.reason": "undecodable",
            "push.detail": "planted",
            "push.topic": house.topic(UPDATED),
            "push.partition": str(number % 4),
            "push.offset": str(number // 4),
            "push.timestamp": "-1",
            "push.group": house.prefix,
            "push.failed_at": "2026-11-25T08:30:00.000+00:00",
        }
        producer.produce(house.topic("dead-letter"), str(number), b"key", headers=headers)
        producer.poll(0)
    producer.flush(60)
