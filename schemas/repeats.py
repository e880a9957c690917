"""What the repeats topic holds: which event ids were settled, at which offset and when.

A record lies in the partition of its events and is keyed so that compaction keeps the newest entry
of an id. Key: the byte 1 (version), then topic, tenant id and id in UTF-8 with a zero byte between;
neither a topic's name nor an id holds one, so the parts come back whatever a tenant is called.
Value: the byte 1, first offset (8 bytes), milliseconds since 1970 in UTC (8 bytes), big-endian.
The id is the event's, or for a redriven share the place of its dead letter. What has another
version is nobody's: a newer worker's entries are passed over by an older one.
"""

import struct
from typing import NamedTuple

from schemas.records import Place

VERSION = b"\x01"
_VALUE = struct.Struct(">cQQ")


class SettledId(NamedTuple):
    """An id that was settled: its partition, its key, where it came first, and when that was."""

    place: Place
    key: bytes
    first_offset: int
    settled_at: int  #: milliseconds since 1970 in UTC


def topic_prefix(topic: str) -> bytes:
    """Return what every key of an input topic begins with."""
    return b"\x01%b\x00" % topic.encode()


def key_of(topic: str, tenant_id: str, identity: str) -> bytes:
    """Return the key of an event id, or of what stands for one."""
    return b"\x01%b\x00%b\x00%b" % (topic.encode(), tenant_id.encode(), identity.encode())


def value_of(first_offset: int, settled_at: int) -> bytes:
    """Return the value that says where an id came first and when that was settled."""
    return _VALUE.pack(VERSION, first_offset, settled_at)


def offset_and_instant(value: bytes) -> tuple[int, int] | None:
    """Read a value: first offset and time settled; None for one of another version."""
    if len(value) != _VALUE.size or value[:1] != VERSION:
        return None
    _, first_offset, settled_at = _VALUE.unpack(value)
    return first_offset, settled_at
