"""What the input asks for: read from the topics as they lie there, judged by the plain oracle.

Compact on purpose, since a campaign has millions of records: a byte for each offset, and sixteen
bytes for each event and mail that must be found again.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.published import text_of
from tests.campaigns import oracle
from tests.campaigns.reading import Seen

#: What a byte of `Partition.outcomes` says; the first is an offset without a record (a marker).
OUTCOMES = (
    *("", "unreadable", "repeated", "no_rules", "unknown_status", "unchanged"),
    *("no_match", "mailed", "no_recipient"),
)
_CODE = {name: code for code, name in enumerate(OUTCOMES)}
REPEATED = _CODE["repeated"]
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

PlaceOf = tuple[str, int]  # topic and partition


@dataclass(slots=True)
class Partition:
    """What must become of a partition's records."""

    outcomes: bytearray = field(default_factory=bytearray)  #: by offset
    firsts: dict[bytes, int] = field(default_factory=dict)  #: event → offset it was settled at
    repeated: dict[int, int] = field(default_factory=dict)  #: offset → first offset

    def counts(self, first: int, last: int) -> dict[str, int]:
        """Return the outcomes of the records from one offset to another, last included."""
        counted = Counter(self.outcomes[first : last + 1])
        return {OUTCOMES[code]: n for code, n in counted.items() if code}

    def repeats(self, first: int, last: int) -> dict[int, int]:
        """Return the repetitions between two offsets, last included, and what each repeats."""
        within = self.outcomes[first : last + 1]
        offsets = [first + at for at, code in enumerate(within) if code == REPEATED]
        return {offset: self.repeated[offset] for offset in offsets}


@dataclass(slots=True, kw_only=True)
class Inputs:
    """Everything that was asked for. Records must be taken in the order of their offsets."""

    tenants: Mapping[str, Any]  #: by id, as in the rules file
    names: Mapping[str, str]  #: input topic → name of its schema
    partitions: dict[PlaceOf, Partition] = field(default_factory=dict)
    mails: dict[bytes, int] = field(default_factory=dict)  #: mail → how often it is still owed
    letters: dict[tuple[str, int, int], bytes] = field(default_factory=dict)  #: place → content
    records: int = 0
    asked_for: int = 0  #: mails

    def take(self, record: Seen) -> None:
        """Note what a record asks for."""
        self.records += 1
        partition = self.partitions.setdefault((record.topic, record.partition), Partition())
        partition.outcomes.extend(bytes(record.offset - len(partition.outcomes)))
        event = read_event(self.names[record.topic], record.value)
        if event is None:
            outcome = "unreadable"
            place = (record.topic, record.partition, record.offset)
            self.letters[place] = content(record)
        else:
            outcome = self._outcome(partition, record.offset, event)
        partition.outcomes.append(_CODE[outcome])

    def _outcome(self, partition: Partition, offset: int, event: dict[str, Any]) -> str:
        name = event_name(event["tenant_id"], event["event_id"])
        first = partition.firsts.get(name)
        if first is not None:
            partition.repeated[offset] = first
            return "repeated"
        tenant = self.tenants.get(event["tenant_id"])
        mails = [mail for mail, _, _ in oracle.mails_of(tenant, event)]
        if not mails:
            return oracle.outcome(tenant, event)
        partition.firsts[name] = offset
        for mail in mails:
            owed = mail_name(event["tenant_id"], mail)
            self.mails[owed] = self.mails.get(owed, 0) + 1
        self.asked_for += len(mails)
        return "mailed"


def read_event(name: str, value: bytes | None) -> dict[str, Any] | None:
    """Return the event's fields, or None where nobody can read them (R40)."""
    if value is None or value[:10] != _prefix(name):
        return None
    try:
        event = fastavro.schemaless_reader(BytesIO(value[10:]), _schema(name), None)
    except Exception:  # noqa: BLE001  foreign bytes make fastavro raise anything
        return None
    assert isinstance(event, dict)
    return event if _UUID.fullmatch(event["event_id"]) and event["tenant_id"] else None


def event_name(tenant_id: str, event_id: str) -> bytes:
    """Return sixteen bytes for an event of a tenant."""
    return hashlib.blake2b(f"{tenant_id}\0{event_id}".encode(), digest_size=16).digest()


def mail_name(tenant_id: str, mail_id: str) -> bytes:
    """Return sixteen bytes for a mail; the tenant in it shows a mail made for a stranger."""
    return event_name(tenant_id, mail_id)


def content(record: Seen) -> bytes:
    """Return a digest of a record's key and value."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (record.key, record.value):
        digest.update(b"-" if part is None else b"%d:%b" % (len(part), part))
    return digest.digest()


@cache
def _prefix(name: str) -> bytes:
    number = fingerprint(to_parsing_canonical_form(json.loads(text_of(name))), "CRC-64-AVRO")
    return b"\xc3\x01" + bytes.fromhex(number)


@cache
def _schema(name: str) -> Any:
    """Return the published schema without logical types: ids are compared as they stand."""
    return fastavro.parse_schema(_plain(json.loads(text_of(name))))


def _plain(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _plain(part) for key, part in schema.items() if key != "logicalType"}
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema


def by_id(tenants: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a rules file's tenants by their ids."""
    return {tenant["id"]: tenant for tenant in tenants}
