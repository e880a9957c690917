"""The Avro schemas of this package, `avsc/<topic>.v<number>.avsc`.

A published file never changes; a change is the next file. The newest is written, all are read.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources

from schemas.avro import AvroSchema
from schemas.framing import Fingerprint
from schemas.vocabulary import EventType

OUTGOING_MAIL = "outgoing-mail"
EVALUATION = "evaluation"
UNDELIVERABLE = "outgoing-mail-undeliverable"
NAMES = (*EventType, OUTGOING_MAIL, EVALUATION, UNDELIVERABLE)

_FOLDER = resources.files("schemas") / "avsc"
_FILE = re.compile(r"(?P<name>[a-z-]+)\.v(?P<number>\d+)\.avsc")


def published(name: str) -> AvroSchema:
    """Return the newest schema of an event type, or of one of the records that we write."""
    return _schema(*_newest(str(name)))


def text_of(name: str) -> str:
    """Return the same schema as the JSON text that was published."""
    return _text(*_newest(str(name)))


@cache
def by_fingerprint() -> dict[Fingerprint, AvroSchema]:
    """Return every published schema, older ones too, by its fingerprint."""
    return {schema.fingerprint: schema for schema in (_schema(*file) for file in _files())}


def _files() -> Iterator[tuple[str, int]]:
    """Yield name and number of every published file."""
    for file in _FOLDER.iterdir():
        match = _FILE.fullmatch(file.name)
        if match is not None:
            yield match["name"], int(match["number"])


@cache
def _newest(name: str) -> tuple[str, int]:
    return max(file for file in _files() if file[0] == name)


@cache
def _schema(name: str, number: int) -> AvroSchema:
    return AvroSchema(_text(name, number))


def _text(name: str, number: int) -> str:
    return (_FOLDER / f"{name}.v{number}.avsc").read_text("utf-8")
