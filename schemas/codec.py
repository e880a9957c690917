"""Values to Avro bytes and back, whatever framing names the schema.

`Codec` keeps a compiled reader per event type and framing prefix (or schema header), so that on the
hot path a record costs a look-up and a peek.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple, Protocol

from schemas.avro import AvroSchema
from schemas.errors import InvalidEvent
from schemas.events import PaymentEvent, Routing
from schemas.fields import (
    evaluation_from_fields,
    event_from_fields,
    fields_of_evaluation,
    fields_of_event,
    fields_of_mail,
    fields_of_report,
    mail_from_fields,
    report_from_fields,
)
from schemas.flat_writing import Write, compile_writer
from schemas.framing import CONFLUENT_LEAD, Framed, SchemaName, unframe
from schemas.mails import OutgoingMail
from schemas.peeking import Peek, compile_peek
from schemas.plans import Evaluation
from schemas.published import EVALUATION, OUTGOING_MAIL, UNDELIVERABLE, published
from schemas.records import Headers, Record
from schemas.reports import UndeliverableMail
from schemas.vocabulary import DeadLetterReason, EventType


class WriterSchemas(Protocol):
    """Where the schemas come from that records were written with."""

    def named(self, schema: SchemaName) -> AvroSchema:
        """Return the schema of that name; asked often, so an answer is kept.

        Raise `InvalidEvent` (`unknown_schema`) if nobody knows it, `RegistryUnavailable` if the
        one who might know gave no answer.
        """


class _EventReader(NamedTuple):
    start: int
    schema: AvroSchema
    peek: Peek


class Codec:
    """Reads events and mails of every framing."""

    def __init__(self, writer_schemas: WriterSchemas) -> None:
        self._writer_schemas = writer_schemas
        self._readers: dict[EventType, dict[bytes | Framed, _EventReader]] = {
            event_type: {} for event_type in EventType
        }

    def peek(self, event_type: EventType, record: Record) -> Routing:
        """Read the routing fields only, or raise `InvalidEvent` or `RegistryUnavailable`."""
        reader, value = self._reader(event_type, record)
        return reader.peek(value, reader.start)

    def decode(self, event_type: EventType, record: Record) -> PaymentEvent:
        """Read the whole event, or raise `InvalidEvent` or `RegistryUnavailable`."""
        reader, value = self._reader(event_type, record)
        return event_from_fields(event_type, reader.schema.read(value, reader.start))

    def _reader(self, event_type: EventType, record: Record) -> tuple[_EventReader, bytes]:
        value = record.value
        if value is None:
            raise InvalidEvent(DeadLetterReason.NULL_VALUE, "the record has no value")
        prefix = value[:5] if value[:1] == CONFLUENT_LEAD else value[:10]
        reader = self._readers[event_type].get(prefix)
        if reader is None:
            reader = self._find_reader(event_type, prefix, unframe(value, record.headers))
        return reader, value

    def _find_reader(self, event_type: EventType, prefix: bytes, framed: Framed) -> _EventReader:
        known_by = prefix if framed.start else framed  # a bare value's schema stands in a header
        reader = self._readers[event_type].get(known_by)
        if reader is None:
            schema = self._writer_schemas.named(framed.schema)
            expect(schema, published(event_type))
            reader = _EventReader(framed.start, schema, compile_peek(schema, event_type))
            self._readers[event_type][known_by] = reader
        return reader

    def decode_mail(self, value: bytes | None, headers: Headers = ()) -> OutgoingMail:
        """Read an outgoing mail, or raise `InvalidEvent` or `RegistryUnavailable`."""
        schema, start, body = self._named(value, headers, OUTGOING_MAIL)
        return mail_from_fields(schema.read(body, start))

    def decode_evaluation(self, value: bytes | None, headers: Headers = ()) -> Evaluation:
        """Read an evaluation, or raise `InvalidEvent` or `RegistryUnavailable`."""
        schema, start, body = self._named(value, headers, EVALUATION)
        return evaluation_from_fields(schema.read(body, start))

    def decode_report(self, value: bytes | None, headers: Headers = ()) -> UndeliverableMail:
        """Read a report about a mail, or raise `InvalidEvent` or `RegistryUnavailable`."""
        schema, start, body = self._named(value, headers, UNDELIVERABLE)
        return report_from_fields(schema.read(body, start))

    def _named(
        self, value: bytes | None, headers: Headers, name: str
    ) -> tuple[AvroSchema, int, bytes]:
        if value is None:
            raise InvalidEvent(DeadLetterReason.NULL_VALUE, "the record has no value")
        framed = unframe(value, headers)
        schema = self._writer_schemas.named(framed.schema)
        expect(schema, published(name))
        return schema, framed.start, value


def expect(schema: AvroSchema, own: AvroSchema) -> None:
    """Raise `InvalidEvent` (`unknown_schema`) if a schema is of another record than our own."""
    if schema.name != own.name:
        raise InvalidEvent(DeadLetterReason.UNKNOWN_SCHEMA, f"the schema is not that of {own.name}")


Prefix = Callable[[str], bytes]  # name of a published schema → what stands before the Avro body


def encode_event(event: PaymentEvent, prefix: bytes) -> bytes:
    """Return an event's value."""
    name = event.routing.event_type
    return published(name).write(fields_of_event(event), prefix)


def encode_mail(mail: OutgoingMail, prefix: bytes) -> bytes:
    """Return an outgoing mail's value."""
    return _mail_writer()(fields_of_mail(mail), prefix)


@cache
def _mail_writer() -> Write:
    return compile_writer(published(OUTGOING_MAIL))


def encode_evaluation(evaluation: Evaluation, prefix: bytes) -> bytes:
    """Return an evaluation's value."""
    return published(EVALUATION).write(fields_of_evaluation(evaluation), prefix)


def encode_report(report: UndeliverableMail, prefix: bytes) -> bytes:
    """Return the value of a report about a mail that will not come."""
    return published(UNDELIVERABLE).write(fields_of_report(report), prefix)
