"""Events that are well formed and hostile all the same, as plain fields."""

import uuid
from random import Random
from typing import Any

from tests.campaigns.fuzz.schemas import UPDATED
from tests.campaigns.generated import STATUSES

TENANTS = ("m-1", "m-2")
HOSTILE = (
    "",
    " ",
    "\0",
    "a\r\nBcc: everybody@push.example",
    "\r\n\r\n<html>",
    "{{ 7 * 7 }}{% for x in ().__class__.__mro__ %}{{ x }}{% endfor %}",
    "<script>alert(1)</script>&amp;\"'",
    "=?utf-8?q?=0D=0A?=",
    "\u202e\u2066evil\u2069\u202c",
    "\u2028\u2029\u0085\x0b\x0c",
    "\ufeff\ufffe\uffff",
    "\U0010ffff\U0001f469\u200d\U0001f4bb" * 3,
    "e\u0301" * 50,
    "../../etc/passwd",
    "'; DROP TABLE push_rules; --",
    "%s%n%x{0}{}",
    "9" * 400,
    "NaN",
    "-0",
    "1e999",
    "DE89370400440532013000",
    "anna@muster.example",
    "ä" * 2_000,
    "x" * 70_000,
)
OPTIONAL = ("file_name", "origin", "message_id", "control_sum", "currency", "category_purpose")
LONGS = (0, -1, 2**31 - 1, -(2**31), 2**62, -(2**63), 2**63 - 1, 253_402_300_800_000)
INTS = (0, 1, -1, 2**31 - 1, -(2**31), 20_000)


def event(chance: Random, topic: str) -> dict[str, Any]:
    """Return an event's fields; most are believable, some hostile, any optional one may miss."""
    fields: dict[str, Any] = {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "tenant_id": chance.choice((*TENANTS, *TENANTS, "m-nobody")),
        "occurred_at": 1_773_212_561_000,
        "file_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "trace": text(chance),
        "version": chance.choice(LONGS),
        "kind": chance.choice("AB"),
        "extra": [[{text(chance): text(chance)}] * chance.randrange(3)] * chance.randrange(3),
        "errors": _items(chance, _error),
    }
    if topic == UPDATED:
        fields |= {
            "status": chance.choice(STATUSES),
            "previous_status": chance.choice((None, text(chance))),
            "account_ids": _items(chance, lambda c: c.choice(("acc-1", text(c)))),
            "rejected_transactions": _items(chance, _transaction),
        }
        for name in ("order_id", "reason_code", "reason", "additional_information", "rejected_sum"):
            _maybe(chance, fields, name, text)
        _maybe(chance, fields, "rejected_count", lambda c: c.choice(INTS))
    for name in (
        "file_name",
        "origin",
        "message_id",
        "control_sum",
        "currency",
        "category_purpose",
    ):
        _maybe(chance, fields, name, text)
    _maybe(chance, fields, "received_at", lambda c: c.choice(LONGS))
    _maybe(chance, fields, "requested_execution_date", lambda c: c.choice(INTS))
    _maybe(chance, fields, "number_of_transactions", lambda c: c.choice(INTS))
    _maybe(chance, fields, "accounts", lambda c: _items(c, _account))
    if chance.random() < 0.1:  # a required field that is hostile too
        fields[chance.choice(("event_id", "tenant_id", "file_id"))] = text(chance)
    return fields


def text(chance: Random) -> str:
    """Return a text, mostly short, seldom huge."""
    if chance.random() < 0.5:
        return chance.choice(("EUR", "3000.00", "AC04", "DS05", "api", "Konto aufgelöst"))
    return chance.choice(HOSTILE[:-2] if chance.random() < 0.98 else HOSTILE)


def _maybe(chance: Random, fields: dict[str, Any], name: str, make: Any) -> None:
    if chance.random() < 0.5:
        fields[name] = make(chance)


def _items(chance: Random, make: Any) -> list[Any]:
    return [make(chance) for _ in range(chance.choice((0, 0, 1, 2, 5)))]


def _error(chance: Random) -> dict[str, Any]:
    return {
        "error_code": text(chance),
        "error_message": text(chance),
        "error_details": text(chance),
    }


def _account(chance: Random) -> dict[str, Any]:
    return {"account_id": text(chance), "iban": text(chance), "description": text(chance)}


def _transaction(chance: Random) -> dict[str, Any]:
    return {"end_to_end_id": text(chance), "amount": text(chance), "reason_code": text(chance)}
