"""Events and rules for measuring the worker: one event in twenty gives one mail."""

import json
import random
import uuid
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from itertools import count
from typing import Any, NamedTuple

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.published import text_of
from tests.campaigns.generated import UPDATED

TENANTS = 200
EVERY = 20  # one event in so many is wanted
WANTED, UNWANTED = "FIN_REJECTED", "FIN_CONFIRMED"


class Written(NamedTuple):
    """An event as it is written."""

    key: bytes
    value: bytes


def rules() -> dict[str, Any]:
    """Return a rules file: each tenant waits for one status, one user is told."""
    return {"version": 1, "tenants": [_tenant(f"m-{number}") for number in range(TENANTS)]}


def _tenant(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": f"Mandant {name}",
        "users": [{"id": "u-1", "name": "Anna", "email": f"anna@{name}.example"}],
        "bank_accounts": [
            {"id": "acc-1", "iban": "DE89370400440532013000", "description": "Hauptkonto"}
        ],
        "rules": [
            {
                "id": f"r-{number}",
                "description": f"Regel {number}",
                "event": UPDATED,
                "statuses": [status],
                "bank_accounts": "all",
                "subject": "{{ status }}: {{ tenant }}",
                "internal_recipients": ["u-1"],
            }
            for number, status in enumerate((WANTED, "FIN_VEU_CANCELED", "FIN_UPLOAD_FAILED"))
        ],
    }


def place_of(at: int, partitions: int) -> int:
    """Return the partition of the event at this position: the wanted ones go round too."""
    return (at + at // EVERY) % partitions


def events(seed: int) -> Iterator[Written]:
    """Yield events of about 250 bytes without end; each `EVERY`th is wanted by one rule.

    A few are encoded and then written again and again under ids of their own: what is measured
    reads them, and must not wait for whoever writes them.
    """
    chance = random.Random(seed)
    wanted = [_encoded(chance, WANTED) for _ in range(64)]
    unwanted = [_encoded(chance, UNWANTED) for _ in range(64)]
    for number in count(1):
        kept, event_id, file_id = (unwanted if number % EVERY else wanted)[number % 64]
        ids = [f"{number:08x}-{seed:04x}-4000-{kind}000-000000000000".encode() for kind in "89"]
        value = kept.replace(event_id, ids[0]).replace(file_id, ids[1])
        yield Written(ids[1], value)


def _encoded(chance: random.Random, status: str) -> tuple[bytes, bytes, bytes]:
    """Return an event's value, and the event's id and the file's within it."""
    event, value = _event(chance, status), BytesIO()
    prefix, schema = _schema()
    value.write(prefix)
    fastavro.schemaless_writer(value, schema, event)
    return value.getvalue(), event["event_id"].encode(), event["file_id"].encode()


@cache
def _schema() -> tuple[bytes, Any]:
    schema = json.loads(text_of(UPDATED))
    number = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
    return b"\xc3\x01" + bytes.fromhex(number), fastavro.parse_schema(schema)


def _event(chance: random.Random, status: str) -> dict[str, Any]:
    return {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "tenant_id": f"m-{chance.randrange(TENANTS)}",
        "status": status,
        "previous_status": "FIN_UPLOAD_SUCCEEDED",
        "account_ids": ["acc-1"],
        "occurred_at": 1_773_212_561_000 + chance.randrange(10**9),
        "file_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "file_type": "pain",
        "file_name": "miete_q2.xml",
        "origin": "import",
        "order_type": "CCT",
        "message_id": f"MIETE-{chance.randrange(10**6)}",
        "number_of_transactions": chance.randrange(1, 100),
        "control_sum": f"{chance.randrange(10**6)}.50",
        "currency": "EUR",
    }
