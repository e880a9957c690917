"""A published schema never changes: a change is the next file, and its line is added here."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from schemas.avro import AvroSchema
from schemas.published import NAMES, by_fingerprint, published, text_of

FOLDER = Path(__file__).parents[2] / "schemas/avsc"

#: File → (fingerprint in wire order, SHA-256 of the file); frozen on 2026-11-24.
FROZEN = {
    "evaluation.v1.avsc": (
        "effbbf52850225c1",
        "3afbff4363973ebc66b2ed006aaf2ca4fbc701b18dff5e64bb9e6c1345834251",
    ),
    "evaluation.v2.avsc": (
        "cf1649ed28ef3e09",
        "f90b282229dead0fc0ad9ba19be87d8a8619d9f78793d45047d480cffd064786",
    ),
    "outgoing-mail.v1.avsc": (
        "a84dc736f032a2fb",
        "8a9cfc355989ca43566cdc1ae3a8938427494aa6ce3fc9c4d6eec9aa7671bbd3",
    ),
    "outgoing-mail-undeliverable.v1.avsc": (
        "8e3e04234064f5a7",
        "1be5584063003b768d18177d10c0ff83e41a352ed5b87311b410e8835e1e599d",
    ),
    "payment-file-rejected.v1.avsc": (
        "2378f9635da448a2",
        "2344224a5c59a438edb074d722ca3b22bc411c3a264c911777546af8ada367b3",
    ),
    "payment-status-updated.v1.avsc": (
        "00d1b36cc54fd9ce",
        "4d9ba8f1268afd74d83ac0a3aff417cebcab20bfdd81243996e5d6e478b87b28",
    ),
}

COMMON = [
    "received_at",
    "file_type",
    "file_name",
    "origin",
    "transfer_type",
    "order_type",
    "message_id",
    "payment_information_ids",
    "accounts",
    "number_of_transactions",
    "control_sum",
    "currency",
    "requested_execution_date",
    "category_purpose",
    "errors",
]

#: Fields in order: domain.md section 4 for the events.
FIELDS = {
    "payment-file-rejected": ["event_id", "tenant_id", "occurred_at", "file_id", *COMMON],
    "payment-status-updated": [
        "event_id",
        "tenant_id",
        "status",
        "previous_status",
        "account_ids",
        "occurred_at",
        "file_id",
        *COMMON,
        "uploaded_at",
        "order_id",
        "reason_code",
        "reason",
        "additional_information",
        "rejected_count",
        "rejected_sum",
        "rejected_transactions",
    ],
    "outgoing-mail": [
        "mail_id",
        "event_id",
        "rule_id",
        "tenant_id",
        "file_id",
        "event_type",
        "audience",
        "language",
        "recipient",
        "subject",
        "text",
        "html",
        "from_address",
        "from_name",
        "reply_to",
        "date",
        "message_id",
        "thread_root",
        "list_id",
        "unsubscribe_url",
        "unsubscribe_mailto",
        "expires_at",
        "template_revision",
        "rules_generation",
        "fallback",
    ],
    "evaluation": [
        "topic",
        "partition",
        "first_offset",
        "last_offset",
        "rules_generation",
        "engine_version",
        "decided_at",
        "outcomes",
        "repeats",
    ],
    "outgoing-mail-undeliverable": [
        "mail_id",
        "event_id",
        "rule_id",
        "tenant_id",
        "recipient",
        "state",
        "fate",
        "reply_code",
        "reply_detail",
        "reply_text",
        "attempts",
        "may_have_arrived",
        "taken_in_at",
        "finished_at",
    ],
}

NULLABLE = {
    "payment-file-rejected": {
        "file_id",
        *COMMON,
    }
    - {"payment_information_ids", "accounts", "errors"},
    "payment-status-updated": {
        "previous_status",
        *COMMON,
        "uploaded_at",
        "order_id",
        "reason_code",
        "reason",
        "additional_information",
        "rejected_count",
        "rejected_sum",
    }
    - {"payment_information_ids", "accounts", "errors"},
    "outgoing-mail": {
        "file_id",
        "from_name",
        "reply_to",
        "thread_root",
        "list_id",
        "unsubscribe_url",
        "unsubscribe_mailto",
    },
    "evaluation": set(),
    "outgoing-mail-undeliverable": {"recipient", "reply_code", "reply_detail", "reply_text"},
}

#: Fields whose base type is a number, and how it is meant; the canonical form leaves this out.
LOGICAL = {
    "occurred_at": "timestamp-millis",
    "received_at": "timestamp-millis",
    "uploaded_at": "timestamp-millis",
    "date": "timestamp-millis",
    "expires_at": "timestamp-millis",
    "decided_at": "timestamp-millis",
    "requested_execution_date": "date",
}


def declared(name: str) -> dict[str, Any]:
    """Return the newest schema of that name."""
    schema: dict[str, Any] = json.loads(text_of(name))
    return schema


def records_in(part: Any) -> list[dict[str, Any]]:
    """Return every record type declared anywhere in a schema."""
    if isinstance(part, list):
        return [record for inner in part for record in records_in(inner)]
    if not isinstance(part, dict):
        return []
    own = [part] if part.get("type") == "record" else []
    return own + [record for inner in part.values() for record in records_in(inner)]


def fields_in(name: str) -> list[dict[str, Any]]:
    return [field for record in records_in(declared(name)) for field in record["fields"]]


def is_nullable(field: dict[str, Any]) -> bool:
    return isinstance(field["type"], list) and "null" in field["type"]


def logical_type_of(field: dict[str, Any]) -> str | None:
    kind = field["type"][1] if is_nullable(field) else field["type"]
    return kind.get("logicalType") if isinstance(kind, dict) else None


def test_every_published_file_is_frozen_here() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(FROZEN)


@pytest.mark.parametrize(("file", "frozen"), FROZEN.items(), ids=FROZEN)
def test_a_published_schema_never_changes(file: str, frozen: tuple[str, str]) -> None:
    content = (FOLDER / file).read_bytes()

    fingerprint = AvroSchema(content.decode()).fingerprint.hexadecimal
    assert (fingerprint, hashlib.sha256(content).hexdigest()) == frozen


def test_no_two_files_share_a_fingerprint() -> None:
    # The canonical form leaves out logical types: milliseconds and microseconds look the same.
    fingerprints = [AvroSchema(path.read_text("utf-8")).fingerprint for path in FOLDER.iterdir()]

    assert len(set(fingerprints)) == len(fingerprints)


def test_every_published_schema_is_found_by_its_fingerprint() -> None:
    assert {schema.fingerprint.hexadecimal for schema in by_fingerprint().values()} == {
        fingerprint for fingerprint, _ in FROZEN.values()
    }


@pytest.mark.parametrize("name", NAMES)
def test_fields_stand_in_the_published_order(name: str) -> None:
    assert [field["name"] for field in declared(name)["fields"]] == FIELDS[name]


@pytest.mark.parametrize("name", NAMES)
def test_exactly_the_optional_fields_may_be_null(name: str) -> None:
    assert {f["name"] for f in declared(name)["fields"] if is_nullable(f)} == NULLABLE[name]


@pytest.mark.parametrize("name", NAMES)
def test_every_nullable_field_defaults_to_null(name: str) -> None:
    nullable = [field for field in fields_in(name) if is_nullable(field)]

    assert all(field["type"][0] == "null" and len(field["type"]) == 2 for field in nullable)
    assert all(field.get("default", "none") is None for field in nullable)


@pytest.mark.parametrize("name", ["payment-file-rejected", "payment-status-updated"])
def test_every_list_of_an_event_defaults_to_empty(name: str) -> None:
    lists = [f for f in fields_in(name) if isinstance(f["type"], dict) and "items" in f["type"]]

    assert lists
    assert all(field.get("default") == [] for field in lists)


@pytest.mark.parametrize("name", NAMES)
def test_instants_and_days_say_what_they_are(name: str) -> None:
    fields = fields_in(name)

    meant = {f["name"]: logical_type_of(f) for f in fields if f["name"] in LOGICAL}
    assert meant == {field: LOGICAL[field] for field in meant}


@pytest.mark.parametrize("name", NAMES)
def test_records_lie_in_our_namespace(name: str) -> None:
    topic_words = name.split("-")

    assert published(name).name == "push_services." + "".join(map(str.capitalize, topic_words))


@pytest.mark.parametrize("name", NAMES)
def test_every_field_says_what_it_means(name: str) -> None:
    assert [field["name"] for field in fields_in(name) if not field.get("doc")] == []
