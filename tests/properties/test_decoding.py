"""Decoding is total, and the peek is true."""

import struct
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.registry import PublishedSchemas
from schemas.avro import AvroSchema
from schemas.codec import Codec, encode_event
from schemas.errors import InvalidEvent
from schemas.events import PaymentEvent, Routing
from schemas.framing import single_object_prefix
from schemas.peeking import compile_peek
from schemas.published import published
from schemas.records import Record
from schemas.vocabulary import EventId, EventType, TenantId
from tests.strategies import events


def framed(event: PaymentEvent) -> bytes:
    schema = published(event.routing.event_type)
    return encode_event(event, single_object_prefix(schema.fingerprint))


def a_record(value: bytes | None) -> Record:
    return Record("events", 0, 0, -1, None, value)


def outcome_of(event_type: EventType, value: bytes) -> Routing | InvalidEvent:
    try:
        return Codec(PublishedSchemas()).peek(event_type, a_record(value))
    except InvalidEvent as error:
        return error


@given(events)
def test_every_event_survives_encoding_and_decoding(event: PaymentEvent) -> None:
    # Would catch a field that is left out, or mixed up with its neighbour of the same type.
    record = a_record(framed(event))

    decoded = Codec(PublishedSchemas()).decode(event.routing.event_type, record)

    assert decoded == event


@given(events)
def test_the_peek_reads_what_the_full_decoder_reads(event: PaymentEvent) -> None:
    # Would catch a peek that takes the block count of an array for its length.
    codec, record = Codec(PublishedSchemas()), a_record(framed(event))

    routing = codec.peek(event.routing.event_type, record)

    assert routing == codec.decode(event.routing.event_type, record).routing == event.routing


@given(st.sampled_from(EventType), st.binary(max_size=200))
def test_any_bytes_are_an_event_or_invalid(event_type: EventType, value: bytes) -> None:
    # Would catch an IndexError or UnicodeDecodeError that gets past the border.
    head = single_object_prefix(published(event_type).fingerprint)

    for candidate in (value, head + value, b"\x00" + value):
        answer = outcome_of(event_type, candidate)

        assert isinstance(answer, Routing | InvalidEvent)


@given(events, st.data())
def test_a_damaged_event_is_an_event_or_invalid(event: PaymentEvent, data: st.DataObject) -> None:
    # Would catch a negative or huge length that is believed, in the peek or in the full decoder.
    value = bytearray(framed(event))
    at = data.draw(st.integers(10, len(value) - 1))
    value[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(10, len(value)))
    codec, record = Codec(PublishedSchemas()), a_record(bytes(value[:cut]))

    with suppress(InvalidEvent):
        codec.peek(event.routing.event_type, record)
        codec.decode(event.routing.event_type, record)


@given(events, st.integers(0, 400))
def test_a_cut_event_never_decodes(event: PaymentEvent, kept: int) -> None:
    # Would catch slices that silently come short, which Python's do.
    value = framed(event)
    cut = value[: min(kept, len(value) - 1)]

    with pytest.raises(InvalidEvent):
        Codec(PublishedSchemas()).decode(event.routing.event_type, a_record(cut))


@given(events)
def test_bytes_behind_an_event_make_it_invalid(event: PaymentEvent) -> None:
    # Would catch a record of another schema that happens to begin like an event.
    record = a_record(framed(event) + b"\x00")

    with pytest.raises(InvalidEvent):
        Codec(PublishedSchemas()).decode(event.routing.event_type, record)


@given(events)
def test_what_the_peek_refuses_the_decoder_refuses_too(event: PaymentEvent) -> None:
    # Would catch an event that is unreadable or not, depending on whether a rule wants it.
    codec, value = Codec(PublishedSchemas()), framed(event)
    spoilt = value.replace(str(event.event_id).encode(), b"x" * 36)

    for read in (codec.peek, codec.decode):
        with pytest.raises(InvalidEvent, match="event_id"):
            read(event.routing.event_type, a_record(spoilt))


def test_a_schema_with_unknown_constructs_before_the_routing_is_read_in_full() -> None:
    enum = '{"type": "enum", "name": "Kind", "symbols": ["A", "B"]}'
    schema = AvroSchema(
        '{"type": "record", "name": "PaymentFileRejected", "namespace": "push_services", "fields":'
        f' [{{"name": "kind", "type": {enum}}}, {{"name": "event_id", "type": "string"}},'
        ' {"name": "tenant_id", "type": "string"}]}'
    )
    event_id = "98ab19bc-ef72-47fe-a4b0-6b04ad0d9dcb"
    value = schema.write({"kind": "B", "event_id": event_id, "tenant_id": "m-1"})

    routing = compile_peek(schema, EventType.PAYMENT_FILE_REJECTED)(value, 0)

    assert routing == Routing(EventType.PAYMENT_FILE_REJECTED, EventId(event_id), TenantId("m-1"))


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param(b"\x04\x02a\x02b\x00", id="one block"),
        pytest.param(b"\x02\x02a\x02\x02b\x00", id="two blocks"),
        pytest.param(b"\x03\x08\x02a\x02b\x00", id="a block with its size"),
    ],
)
def test_accounts_are_read_however_the_array_is_cut_into_blocks(blocks: bytes) -> None:
    event_id = b"98ab19bc-ef72-47fe-a4b0-6b04ad0d9dcb"
    head = struct.pack("B", 72) + event_id + b"\x06m-1" + b"\x02S" + b"\x00"
    peek = compile_peek(
        published(EventType.PAYMENT_STATUS_UPDATED), EventType.PAYMENT_STATUS_UPDATED
    )

    routing = peek(head + blocks.replace(b"\x03\x08", b"\x03\x08"), 0)

    assert routing.account_ids == ("a", "b")


@pytest.mark.parametrize(
    ("previous", "read"),
    [
        pytest.param(b"\x00", None, id="null"),
        pytest.param(b"\x02\x02P", "P", id="text"),
        pytest.param(b"\x80\x00", None, id="null in two bytes"),
        pytest.param(b"\x82\x00\x02P", "P", id="text in two bytes"),
        pytest.param(b"\x02\x82\x00P", "P", id="length in two bytes"),
        pytest.param(b"\x01", InvalidEvent, id="a branch below the first"),
        pytest.param(b"\x04", InvalidEvent, id="a branch behind the last"),
        pytest.param(b"\xf4\x90\x80\x80", InvalidEvent, id="a branch far behind the last"),
    ],
)
def test_a_union_is_read_however_its_branch_is_written(
    previous: bytes, read: str | type[Exception] | None
) -> None:
    # Would catch a short way for numbers of one byte that forgets the long one.
    event_id = b"98ab19bc-ef72-47fe-a4b0-6b04ad0d9dcb"
    head = struct.pack("B", 72) + event_id + b"\x06m-1" + b"\x02S"
    peek = compile_peek(
        published(EventType.PAYMENT_STATUS_UPDATED), EventType.PAYMENT_STATUS_UPDATED
    )

    if isinstance(read, type):
        with pytest.raises(read, match="damaged"):
            peek(head + previous + b"\x00", 0)
    else:
        assert peek(head + previous + b"\x00", 0).previous_status == read


def test_an_instant_outside_the_calendar_spoils_a_required_field_by_name() -> None:
    schema = published(EventType.PAYMENT_FILE_REJECTED)
    fields = {
        "event_id": "98ab19bc-ef72-47fe-a4b0-6b04ad0d9dcb",
        "tenant_id": "m-1",
        "occurred_at": 2**62,
        "errors": [],
    }
    value = schema.write(fields, single_object_prefix(schema.fingerprint))

    with pytest.raises(InvalidEvent, match="occurred_at"):
        Codec(PublishedSchemas()).decode(EventType.PAYMENT_FILE_REJECTED, a_record(value))


def test_an_optional_instant_outside_the_calendar_is_left_out() -> None:
    schema = published(EventType.PAYMENT_FILE_REJECTED)
    fields = {
        "event_id": "98ab19bc-ef72-47fe-a4b0-6b04ad0d9dcb",
        "tenant_id": "m-1",
        "occurred_at": 0,
        "received_at": 2**62,
        "errors": [],
    }
    value = schema.write(fields, single_object_prefix(schema.fingerprint))

    event = Codec(PublishedSchemas()).decode(EventType.PAYMENT_FILE_REJECTED, a_record(value))

    assert event.occurred_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert event.received_at is None
