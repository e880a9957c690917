"""Made-up tenants and events for campaigns, reproducible by their seed.

Users, accounts and rules of all tenants have the same ids, so that a mix-up of tenants shows.
"""

import random
import struct
import uuid
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from tests.campaigns.oracle import KNOWN_STATUSES

TENANTS = ("m-1", "m-2", "m-3")
STATUSES = sorted(KNOWN_STATUSES)
REJECTED, UPDATED = "payment-file-rejected", "payment-status-updated"


def rules_file(seed: int) -> dict[str, Any]:
    """Return a rules file's data: three tenants, every kind of rule, ids shared on purpose."""
    chance = random.Random(seed)
    return {"version": 1, "tenants": [_tenant(name, chance) for name in TENANTS]}


def _tenant(name: str, chance: random.Random) -> dict[str, Any]:
    users = [
        {"id": "u-1", "name": "Eins", "email": f"eins@{name}.example"},
        {"id": "u-2", "name": "Zwei", "email": f"zwei@{name}.EXAMPLE", "language": "en"},
        {"id": "u-off", "name": "Aus", "email": f"aus@{name}.example", "active": False},
        {"id": "u-none", "name": "Ohne"},
        {"id": "u-shared", "name": "Alle", "email": "alle@shared.example"},
    ]
    accounts = [
        {"id": f"acc-{n}", "iban": "DE89370400440532013000", "description": f"Konto {n}"}
        for n in range(5)
    ]
    return {
        "id": name,
        "name": f"Mandant {name}",
        "language": chance.choice(["de", "en"]),
        "users": users,
        "bank_accounts": accounts,
        "rules": [_file_rule(), *(_status_rule(n, chance) for n in range(8))],
    }


def _file_rule() -> dict[str, Any]:
    return {
        "id": "r-file",
        "description": "Abgelehnte Dateien",
        "event": REJECTED,
        "subject": "Abgelehnt: {{ rule }}",
        "internal_recipients": ["u-1", "u-off"],
        "external_recipients": ["extern@kanzlei.example"],
    }


def _status_rule(number: int, chance: random.Random) -> dict[str, Any]:
    when = (
        {"preset": "not_executed"}
        if number == 0
        else {"statuses": chance.sample(STATUSES, chance.randint(1, 3))}
    )
    accounts = chance.choice(["all", [f"acc-{n}" for n in chance.sample(range(5), 2)]])
    people = chance.sample(["u-1", "u-2", "u-off", "u-none", "u-shared"], chance.randint(1, 3))
    outside: list[Any] = [
        {"email": "steuer@kanzlei.example", "language": "de"},
        "alle@shared.example",
    ]
    return {
        "id": f"r-{number}",
        "description": f"Regel {number}",
        "event": UPDATED,
        **when,
        "bank_accounts": accounts,
        "enabled": number != 5,
        "subject": "{{ status }}: {{ tenant }}",
        "internal_recipients": people,
        "external_recipients": chance.sample(outside, chance.randint(1, 2)),
    }


def events(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield plain events: most of them wanted by few rules, some of unknown tenants or statuses."""
    chance = random.Random(seed)
    for _ in range(count):
        event_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        file_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        tenant = chance.choice((*TENANTS, *TENANTS, *TENANTS, "m-unknown"))
        common = {
            "event_id": event_id,
            "tenant_id": tenant,
            "occurred_at": 1_773_212_561_000 + chance.randrange(10**9),
            "file_id": file_id,
            "file_name": "zahllauf <neu> ä.xml",
            "control_sum": "3000.00",
            "currency": "EUR",
        }
        if chance.random() < 0.2:
            yield common
            continue
        status = chance.choice([*STATUSES, "FIN_BRAND_NEW", "KON_REJECTED"])
        previous = chance.choice([None, status, *STATUSES])
        accounts = [f"acc-{n}" for n in chance.sample(range(7), chance.randint(0, 3))]
        yield common | {"status": status, "previous_status": previous, "account_ids": accounts}


def topic_of(event: dict[str, Any]) -> str:
    """Return the default name of the topic that an event belongs to."""
    return UPDATED if "status" in event else REJECTED


def single_object(schema: Any, event: dict[str, Any]) -> bytes:
    """Return an event in Avro single-object encoding, written by fastavro alone."""
    name = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
    return b"\xc3\x01" + bytes.fromhex(name) + _body(schema, event)


def confluent(schema: Any, registry_id: int, event: dict[str, Any]) -> bytes:
    """Return an event in Confluent framing, written by fastavro alone."""
    return struct.pack(">bI", 0, registry_id) + _body(schema, event)


def _body(schema: Any, event: dict[str, Any]) -> bytes:
    target = BytesIO()
    fastavro.schemaless_writer(target, schema, event)
    return target.getvalue()
