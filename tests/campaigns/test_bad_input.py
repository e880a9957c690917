"""Bad input on real Kafka: each record ends as said, and the next one is processed."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from consumer.registry import Registry as RegistryClient
from schemas.published import text_of
from tests.campaigns import generated
from tests.campaigns.house import House, covered
from tests.campaigns.reading import Seen, fields, records
from tests.conftest import Spawn
from tests.real.kafka import Kafka
from tests.real.registry import Registry

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

UPDATED = generated.UPDATED
SCHEMA = json.loads(text_of(UPDATED))
NOISE = random.Random(7).randbytes(1_048_576)
JUST_BELOW = NOISE[: 1_000_000 - 200]  # the client's default message.max.bytes, less its overhead


@pytest.fixture
def house(kafka: Kafka, tmp_path: Path, spawn: Spawn) -> House:
    return House(kafka, tmp_path, spawn, kafka.fresh_name("house"))


def an_event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"98ab19bc-ef72-47fe-a4b0-{number:012d}",
        "tenant_id": "m-1",
        "status": "FIN_REJECTED",
        "account_ids": ["acc-1"],
        "occurred_at": 1_773_212_561_000,
        "file_id": f"7125993b-ad3c-464b-9a2d-{number:012d}",
        "reason": "Konto des Empfaengers ist aufgeloest",
        **changes,
    }


def encoded(event: dict[str, Any]) -> bytes:
    return generated.single_object(SCHEMA, event)


GOOD = encoded(an_event(0))

#: What is published, and the reason of its dead letter.
DEAD = {
    "no value": (None, "null_value"),
    "no bytes": (b"", "unknown_framing"),
    "noise of 1 MiB": (NOISE, "unknown_framing"),
    "noise just below the client's limit": (JUST_BELOW, "unknown_framing"),
    "cut in the routing fields": (GOOD[:40], "undecodable"),
    "cut behind them, and wanted": (GOOD[:-10], "undecodable"),
    "an unknown fingerprint": (b"\xc3\x01" + b"\x00" * 8 + GOOD[10:], "unknown_schema"),
    "a registry's framing without a registry": (
        b"\x00\x00\x00\x00\x01" + GOOD[10:],
        "unknown_schema",
    ),
    "another event type's schema": (
        generated.single_object(json.loads(text_of(generated.REJECTED)), an_event(1)),
        "unknown_schema",
    ),
    "an event id that is no UUID": (encoded(an_event(2, event_id="4711")), "invalid_field"),
    "no tenant": (encoded(an_event(3, tenant_id="")), "invalid_field"),
}

#: What is published, and its outcome.
NOT_DEAD = {
    "a status nobody knows": (encoded(an_event(4, status="FIN_BRAND_NEW")), "unknown_status"),
    "an unknown tenant": (encoded(an_event(5, tenant_id="m-nobody")), "no_rules"),
    "an unknown tenant, cut behind the routing": (
        encoded(an_event(6, tenant_id="m-nobody"))[:-10],
        "no_rules",
    ),
    "no accounts, and rules for chosen ones only": (
        encoded(an_event(7, account_ids=[])),
        "no_match",
    ),
    "no change": (encoded(an_event(8, previous_status="FIN_REJECTED")), "unchanged"),
}


def rules() -> dict[str, Any]:
    user = {"id": "u-1", "name": "Eins", "email": "eins@m-1.example"}
    rule = {
        "id": "r-1",
        "description": "Abgelehnt",
        "event": UPDATED,
        "statuses": ["FIN_REJECTED"],
        "bank_accounts": ["acc-1"],
        "subject": "{{ status }}",
        "internal_recipients": ["u-1"],
    }
    account = {"id": "acc-1", "iban": "DE89370400440532013000", "description": "Hauptkonto"}
    tenant = {"id": "m-1", "name": "Eins GmbH", "users": [user], "bank_accounts": [account]}
    return {"version": 1, "tenants": [tenant | {"rules": [rule]}]}


def publish(house: House, values: list[bytes | None]) -> None:
    producer = Producer(
        {"bootstrap.servers": house.kafka.bootstrap, "message.max.bytes": 2_000_000}
    )
    for number, value in enumerate(values):
        headers: dict[str, str | bytes | None] = {"origin": b"test", "number": str(number)}
        producer.produce(house.topic(UPDATED), value, b"key", headers=headers, partition=0)
    producer.flush(30)


def outcomes(evaluations: list[Seen]) -> Counter[str]:
    return sum((Counter(fields("evaluation", e.value)["outcomes"]) for e in evaluations), Counter())


def letters(house: House) -> dict[int, Seen]:
    """Return the dead letters by the number of their record."""
    found = records(house.kafka.bootstrap, house.topic("dead-letter"), idle=1.0)
    return {int((letter.headers["number"] or b"-1").decode()): letter for letter in found}


def test_bad_records_end_as_dead_letters_or_outcomes_and_the_next_is_mailed(house: House) -> None:
    dead, fine = list(DEAD.values()), list(NOT_DEAD.values())
    house.prepare(rules())
    worker = house.start("run")

    publish(house, [value for value, _ in (*dead, *fine)] + [GOOD])
    evaluations = house.settled(len(dead) + len(fine) + 1)

    assert worker.stop() == 0
    found = letters(house)
    assert sorted(found) == list(range(len(dead)))
    for number, (value, reason) in enumerate(dead):
        letter = found[number]
        assert (letter.headers["push.reason"] or b"").decode() == reason
        assert (letter.key, letter.value, letter.headers["origin"]) == (b"key", value, b"test")
        assert letter.headers["push.topic"] == house.topic(UPDATED).encode()
        assert letter.headers["push.offset"] == str(number).encode()
        assert len(letter.headers["push.detail"] or b"") <= 200
    expected = Counter(outcome for _, outcome in fine)
    assert outcomes(evaluations) == expected + Counter(unreadable=len(dead), mailed=1)
    mails = records(house.kafka.bootstrap, house.topic("outgoing-mail"), idle=1.0)
    assert [fields("outgoing-mail", m.value)["event_id"] for m in mails] == [
        an_event(0)["event_id"]
    ]


def test_a_dead_letter_that_its_topic_refuses_is_written_without_its_value(house: House) -> None:
    house.prepare(rules(), dead_letter={"max.message.bytes": "100000"})
    worker = house.start("run")

    publish(house, [NOISE, b"small noise", GOOD])
    evaluations = house.settled(3)

    assert worker.stop() == 0
    large, small = letters(house)[0], letters(house)[1]
    assert (large.key, large.value) == (b"key", None)
    assert large.headers["push.value_bytes"] == b"1048576"
    assert large.headers["push.reason"] == b"unknown_framing"
    assert small.value == b"small noise"
    assert outcomes(evaluations) == Counter(unreadable=2, mailed=1)


@pytest.mark.registry
def test_unknown_schema_ids_are_dead_letters(house: House, registry: Registry) -> None:
    number = RegistryClient(registry.url).register(f"{house.topic(UPDATED)}-value", UPDATED)
    house.prepare(rules())
    worker = house.start("run", PUSH_SCHEMA_REGISTRY_URL=registry.url)

    publish(
        house,
        [
            generated.confluent(SCHEMA, 2**31 - 1, an_event(1)),
            generated.confluent(SCHEMA, 2**32 - 1, an_event(2)),
            generated.confluent(SCHEMA, number, an_event(0)),
        ],
    )
    evaluations = house.settled(3)

    assert worker.stop() == 0
    reasons = [letter.headers["push.reason"] for letter in letters(house).values()]
    assert reasons == [b"unknown_schema", b"unknown_schema"]
    assert outcomes(evaluations) == Counter(unreadable=2, mailed=1)
    assert covered(evaluations) == 3
