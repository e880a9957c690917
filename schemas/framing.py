"""Whose bytes are these: Confluent framing or Avro single-object encoding, told by the first bytes.

A third form names the schema in a record header and leaves the value bare. Its value starts with
the length of an event id (0x48 for a UUID), never with 0x00 or 0xC3, so the bytes are asked first
and headers are read only where they say nothing.
"""

from typing import NamedTuple

from schemas.errors import InvalidEvent
from schemas.records import Headers
from schemas.vocabulary import DeadLetterReason

CONFLUENT_LEAD = b"\x00"
SINGLE_OBJECT_LEAD = b"\xc3\x01"
SCHEMA_HEADER = "__value_schema_id"


class RegistryId(NamedTuple):
    """The number of a schema in a registry."""

    number: int


class RegistryGuid(NamedTuple):
    """The world-wide name of a schema in a registry, 32 hex digits in groups."""

    text: str


class Fingerprint(NamedTuple):
    """CRC-64-AVRO of a schema's canonical form, 16 hex digits in wire order."""

    hexadecimal: str


SchemaName = RegistryId | RegistryGuid | Fingerprint


class Framed(NamedTuple):
    """The writer schema's name, and where in the value the Avro body begins."""

    schema: SchemaName
    start: int


def unframe(value: bytes, headers: Headers = ()) -> Framed:
    """Find the name of a value's writer schema and the place of its Avro body.

    Confluent: 00, registry id (4 bytes, big-endian), body. Avro single-object encoding: C3 01,
    CRC-64-AVRO of the schema (8 bytes, little-endian), body. Header form: `__value_schema_id` is
    00 and a registry id, or 01 and a GUID of 16 bytes; the value is the body. Raise `InvalidEvent`
    otherwise.
    """
    if value[:1] == CONFLUENT_LEAD and len(value) >= 5:
        return Framed(RegistryId(int.from_bytes(value[1:5], "big")), 5)
    if value[:2] == SINGLE_OBJECT_LEAD and len(value) >= 10:
        return Framed(Fingerprint(value[2:10].hex()), 10)
    for name, content in headers:
        if name == SCHEMA_HEADER and content is not None:
            return Framed(_named_in_header(content), 0)
    raise InvalidEvent(
        DeadLetterReason.UNKNOWN_FRAMING,
        "neither Confluent framing nor Avro single-object encoding",
    )


def _named_in_header(content: bytes) -> SchemaName:
    if content[:1] == b"\x00" and len(content) == 5:
        return RegistryId(int.from_bytes(content[1:], "big"))
    if content[:1] == b"\x01" and len(content) == 17:
        digits = content[1:].hex()
        groups = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        return RegistryGuid("-".join(groups))
    raise InvalidEvent(DeadLetterReason.UNKNOWN_FRAMING, f"header {SCHEMA_HEADER} names no schema")


def confluent_prefix(number: int) -> bytes:
    """Return the five bytes before the body of a value written with a registry's schema."""
    return CONFLUENT_LEAD + number.to_bytes(4, "big")


def single_object_prefix(fingerprint: Fingerprint) -> bytes:
    """Return the ten bytes before the body of a value in Avro single-object encoding."""
    return SINGLE_OBJECT_LEAD + bytes.fromhex(fingerprint.hexadecimal)
