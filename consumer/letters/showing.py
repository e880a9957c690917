"""What a person may see of a dead letter: everything but what may be personal.

Shown are what the letter says itself, the routing fields, and of all else only its size. A file
name, a bank's sentence or an IBAN stands in the value; who must see it writes the value to a file.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from consumer.letters.reading import Letter
from consumer.letters.surveying import Summary
from schemas.events import Routing
from schemas.fields import is_uuid
from schemas.subjects import one_line

Plain = dict[str, Any]  # what JSON can say


def plain_summary(summary: Summary, *, redriven: bool) -> Plain:
    """Return what a list says of a letter."""
    return {
        "place": str(summary.at),
        "failed_at": _instant(summary.failed_at),
        "reason": one_line(summary.reason),
        "origin": one_line(str(summary.origin)),
        "tenant": None if summary.tenant is None else one_line(summary.tenant),
        "rule": None if summary.rule_id is None else one_line(summary.rule_id),
        "redriven": redriven,
        "cannot_be_redriven": summary.obstacle,
        "detail": one_line(summary.detail),
    }


def plain_letter(letter: Letter, routing: Routing | None, obstacle: str | None) -> Plain:
    """Return all that may be seen of a letter; whether it was redriven stands elsewhere."""
    return {
        "place": str(letter.at),
        "letter": {name: one_line(text) for name, text in letter.added},
        "cannot_be_redriven": obstacle,
        "key": _key(letter.key),
        "headers": {one_line(name): _size(content) for name, content in letter.headers},
        "value": _value(letter),
        "routing": None if routing is None else _routing(routing),
    }


def _routing(routing: Routing) -> Plain:
    fields: Mapping[str, Any] = routing._asdict()
    return {
        name: [one_line(part) for part in value] if isinstance(value, tuple) else _line(value)
        for name, value in fields.items()
        if value is not None
    }


def _line(value: object) -> str:
    return one_line(str(value))


def _key(key: bytes | None) -> str | None:
    """Return a key that is a UUID, as file and event ids are; of another only its size."""
    text = (key or b"").decode(errors="replace")
    return text if is_uuid(text) else _size(key)


def _size(content: bytes | None) -> str | None:
    return None if content is None else f"{len(content)} bytes"


def _value(letter: Letter) -> Plain | None:
    if letter.value is None:
        return None
    value = letter.value
    return {
        "bytes": len(value),
        "sha256": hashlib.sha256(value).hexdigest(),
        "begins_with": value[:10].hex(" "),
    }


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
