"""The Avro schemas of this package, `avsc/<topic>.v<number>.avsc`.

A published file never changes; a change is the next file.
"""

from functools import cache
from importlib import resources

from schemas.avro import AvroSchema
from schemas.framing import Fingerprint
from schemas.vocabulary import EventType

OUTGOING_MAIL = "outgoing-mail"
EVALUATION = "evaluation"
NAMES = (*EventType, OUTGOING_MAIL, EVALUATION)


@cache
def published(name: str) -> AvroSchema:
    """Return the newest schema of an event type, of outgoing mails or of evaluations."""
    return AvroSchema(text_of(name))


def text_of(name: str) -> str:
    """Return the same schema as the JSON text that was published."""
    return (resources.files("schemas") / "avsc" / f"{name}.v1.avsc").read_text("utf-8")


@cache
def by_fingerprint() -> dict[Fingerprint, AvroSchema]:
    """Return every published schema by its fingerprint."""
    return {published(name).fingerprint: published(name) for name in NAMES}
