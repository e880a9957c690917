"""Records of the dead-letter topic: letters, and marks that say which letters were redriven.

A letter's own headers stand behind those of its record, from the last `push.reason` on, so a record
that bears such headers itself says nothing about its letter. A mark lies in its letter's partition,
behind it: whoever has read the partition to its end has seen both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Self

from schemas.errors import InvalidValue
from schemas.records import Headers, Publication, Record
from schemas.vocabulary import RuleId

REASON = "push.reason"  #: the first of the headers that a letter adds (`Publisher`)
REDRIVEN = "push.redriven"  #: the only header that a mark begins with: the letter's place
REDRIVEN_AT = "push.redriven_at"


class Position(NamedTuple):
    """An offset of a topic's partition; as text TOPIC/PARTITION/OFFSET."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a position, or raise `InvalidValue`."""
        topic, *numbers = text.split("/")
        if not topic or len(numbers) != 2 or not all(_is_number(n) for n in numbers):
            raise InvalidValue(f"{text!r} is no place; allowed is TOPIC/PARTITION/OFFSET")
        return cls(topic, int(numbers[0]), int(numbers[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter. Key, value and headers are the record's own, as they were."""

    at: Position
    reason: str
    detail: str
    origin: Position
    timestamp: int  #: the record's, milliseconds since 1970 in UTC, -1 when unknown
    group: str
    failed_at: datetime  #: aware UTC
    rule_id: RuleId | None
    key: bytes | None
    value: bytes | None
    headers: Headers
    added: Sequence[tuple[str, str]]  #: what the letter says itself, in its order
    left_out: int | None  #: the value's bytes, where it was left out for its size

    @property
    def record(self) -> Record:
        """Return the record as it was read, at its origin."""
        return Record(*self.origin, self.timestamp, self.key, self.value, self.headers)


class Mark(NamedTuple):
    """Says that a letter was redriven."""

    letter: Position


def read(record: Record) -> Letter | Mark | None:
    """Return what a record of the dead-letter topic is; None where it is neither."""
    names = [name for name, _ in record.headers]
    if REASON in names:
        return _letter(record, len(names) - 1 - names[::-1].index(REASON))
    return _mark(record) if names[:1] == [REDRIVEN] else None


def _letter(record: Record, at: int) -> Letter | None:
    added = [(name, _text(content)) for name, content in record.headers[at:]]
    said = dict(added)
    try:
        return Letter(
            at=Position(record.topic, record.partition, record.offset),
            reason=said[REASON],
            detail=said["push.detail"],
            origin=Position(
                said["push.topic"], int(said["push.partition"]), int(said["push.offset"])
            ),
            timestamp=int(said["push.timestamp"]),
            group=said["push.group"],
            failed_at=_instant(said["push.failed_at"]),
            rule_id=RuleId(said["push.rule_id"]) if "push.rule_id" in said else None,
            key=record.key,
            value=record.value,
            headers=record.headers[:at],
            added=tuple(added),
            left_out=int(said["push.value_bytes"]) if "push.value_bytes" in said else None,
        )
    except (KeyError, ValueError):
        return None


def _origin(said: Mapping[str, str]) -> Position:
    return Position(said["push.topic"], int(said["push.partition"]), int(said["push.offset"]))


def _mark(record: Record) -> Mark | None:
    try:
        return Mark(Position.parse(_text(record.headers[0][1])))
    except InvalidValue:
        return None


def mark(letter: Letter, at: datetime) -> Publication:
    """Return the mark that a letter was redriven; `at` is aware UTC."""
    headers = ((REDRIVEN, str(letter.at)), (REDRIVEN_AT, at.isoformat(timespec="milliseconds")))
    return Publication(
        topic=letter.at.topic,
        partition=letter.at.partition,
        key=letter.key,
        value=None,
        headers=tuple((name, text.encode()) for name, text in headers),
    )


def _text(content: bytes | None) -> str:
    return (content or b"").decode(errors="replace")


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20
