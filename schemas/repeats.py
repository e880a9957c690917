"""What the repeats topic holds: which event ids were settled, at which offset and when.

A record lies in the partition of its events and is keyed so that compaction keeps the newest entry
of an id. Key: the byte 1 (version), then topic, tenant id and id in UTF-8 with a zero byte between;
neither a topic's name nor an id holds one, so the parts come back whatever a tenant is called.
Value: the byte 1, first offset (8 bytes), milliseconds since 1970 in UTC (8 bytes), big-endian.
The id is the event's, or for a redriven share the place of its dead letter (`letter_id`).
"""

import struct
from typing import NamedTuple

from schemas.errors import InvalidValue
from schemas.records import Place

VERSION = b"\x01"
_VALUE = struct.Struct(">cQQ")


class SettledId(NamedTuple):
    """An id that was settled: its partition, its key, where it came first, and when that was."""

    place: Place
    key: bytes
    first_offset: int
    settled_at: int  #: milliseconds since 1970 in UTC


def key_of(topic: str, tenant_id: str, identity: str) -> bytes:
    """Return the key of an event id, or of what stands for one."""
    return b"\x01%b\x00%b\x00%b" % (topic.encode(), tenant_id.encode(), identity.encode())


def letter_id(topic: str, partition: int, offset: int) -> str:
    """Return what stands for the event id in a redriven share: the place of its dead letter."""
    return f"letter:{topic}/{partition}/{offset}"


def value_of(first_offset: int, settled_at: int) -> bytes:
    """Return the value that says where an id came first and when that was settled."""
    return _VALUE.pack(VERSION, first_offset, settled_at)


def topic_of(key: bytes) -> str:
    """Return the input topic that a key names, or raise `InvalidValue`."""
    if key[:1] != VERSION or key.count(b"\x00") < 2:
        raise InvalidValue("not the key of a settled id, or of a newer version")
    return key[1 : key.index(b"\x00")].decode("utf-8", "replace")


def settled_id(partition: int, key: bytes, value: bytes) -> SettledId:
    """Read a record of the repeats topic, or raise `InvalidValue`."""
    topic = topic_of(key)
    if len(value) != _VALUE.size or value[:1] != VERSION:
        raise InvalidValue("not the value of a settled id, or of a newer version")
    _, first_offset, settled_at = _VALUE.unpack(value)
    return SettledId(Place(topic, partition), key, first_offset, settled_at)
