import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from schemas.avro import AvroSchema
from schemas.codec import Codec, encode_evaluation, encode_event, encode_mail
from schemas.errors import InvalidEvent, RegistryUnavailable
from schemas.events import PaymentEvent
from schemas.fields import fields_of_event
from schemas.framing import (
    SCHEMA_HEADER,
    RegistryGuid,
    RegistryId,
    SchemaName,
    confluent_prefix,
    single_object_prefix,
)
from schemas.plans import Evaluation
from schemas.published import EVALUATION, OUTGOING_MAIL, published, text_of
from schemas.records import Headers, Record
from schemas.vocabulary import DeadLetterReason, EventType, Generation, Outcome
from tests.builders import a_file_rejected, a_status_update
from tests.unit.schemas.mails import a_mail

UPDATED, REJECTED = EventType.PAYMENT_STATUS_UPDATED, EventType.PAYMENT_FILE_REJECTED
GUID = RegistryGuid("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")


class KnownSchemas:
    """`WriterSchemas` out of a mapping; counts what it is asked."""

    def __init__(self, known: Mapping[SchemaName, AvroSchema]) -> None:
        self.known = known
        self.asked: list[SchemaName] = []

    def named(self, schema: SchemaName) -> AvroSchema:
        self.asked.append(schema)
        if schema not in self.known:
            raise InvalidEvent(DeadLetterReason.UNKNOWN_SCHEMA, "nobody knows it")
        return self.known[schema]


def knowing(schema: AvroSchema) -> Codec:
    """Return a codec that knows the schema by the id 7."""
    return Codec(KnownSchemas({RegistryId(7): schema}))


class NoAnswer:
    """`WriterSchemas` of a registry that is away."""

    def named(self, schema: SchemaName) -> AvroSchema:
        raise RegistryUnavailable("registry: away")


def a_record(value: bytes | None, headers: Headers = ()) -> Record:
    return Record("events", 0, 0, -1, None, value, headers)


def evolved(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> AvroSchema:
    """Return the schema of status updates with its list of fields changed."""
    declared = json.loads(text_of(UPDATED))
    declared["fields"] = change(declared["fields"])
    return AvroSchema(json.dumps(declared))


def written_with(schema: AvroSchema, **more: Any) -> tuple[Codec, Record]:
    """Return a codec that knows the schema by the id 7, and a status update written with it."""
    fields = fields_of_event(a_status_update()) | more
    value = schema.write(fields, confluent_prefix(7))
    return knowing(schema), a_record(value)


@pytest.mark.parametrize("event", [a_status_update(), a_file_rejected()])
@pytest.mark.parametrize(
    ("prefix", "headers"),
    [
        pytest.param(confluent_prefix(7), (), id="confluent"),
        pytest.param(b"", ((SCHEMA_HEADER, b"\0\0\0\0\7"),), id="header"),
    ],
)
def test_an_event_is_read_by_a_registrys_id(
    event: PaymentEvent, prefix: bytes, headers: Headers
) -> None:
    event_type = event.routing.event_type
    codec = knowing(published(event_type))
    record = a_record(encode_event(event, prefix), headers)

    assert codec.peek(event_type, record) == event.routing
    assert codec.decode(event_type, record) == event


@pytest.mark.parametrize("event", [a_status_update(), a_file_rejected()])
def test_an_event_is_read_by_its_schemas_fingerprint(event: PaymentEvent) -> None:
    event_type = event.routing.event_type
    schema = published(event_type)
    codec = Codec(KnownSchemas({schema.fingerprint: schema}))
    record = a_record(encode_event(event, single_object_prefix(schema.fingerprint)))

    assert codec.peek(event_type, record) == event.routing
    assert codec.decode(event_type, record) == event


def test_a_header_may_name_the_schema_by_its_guid() -> None:
    event = a_status_update()
    codec = Codec(KnownSchemas({GUID: published(UPDATED)}))
    header = b"\1" + bytes.fromhex(GUID.text.replace("-", ""))
    record = a_record(encode_event(event, b""), ((SCHEMA_HEADER, header),))

    assert codec.decode(UPDATED, record) == event


def test_a_value_that_is_null_is_a_dead_letter() -> None:
    codec = Codec(KnownSchemas({}))

    for read in (
        lambda: codec.peek(UPDATED, a_record(None)),
        lambda: codec.decode(UPDATED, a_record(None)),
        lambda: codec.decode_mail(None),
        lambda: codec.decode_evaluation(None),
    ):
        with pytest.raises(InvalidEvent) as caught:
            read()

        assert caught.value.reason is DeadLetterReason.NULL_VALUE


def test_a_schema_of_another_event_type_is_unknown() -> None:
    codec = Codec(KnownSchemas({RegistryId(7): published(REJECTED)}))
    record = a_record(encode_event(a_file_rejected(), confluent_prefix(7)))

    for read in (codec.peek, codec.decode):
        with pytest.raises(InvalidEvent, match=r"push_services\.PaymentStatusUpdated") as caught:
            read(UPDATED, record)

        assert caught.value.reason is DeadLetterReason.UNKNOWN_SCHEMA


def test_one_schema_may_be_right_on_one_topic_and_wrong_on_another() -> None:
    codec = Codec(KnownSchemas({RegistryId(7): published(REJECTED)}))
    record = a_record(encode_event(a_file_rejected(), confluent_prefix(7)))

    assert codec.peek(REJECTED, record) == a_file_rejected().routing
    with pytest.raises(InvalidEvent):
        codec.peek(UPDATED, record)


def test_a_registry_that_is_away_is_not_the_records_fault() -> None:
    record = a_record(encode_event(a_status_update(), confluent_prefix(7)))

    with pytest.raises(RegistryUnavailable):
        Codec(NoAnswer()).peek(UPDATED, record)


def test_a_schema_is_asked_for_once() -> None:
    schemas = KnownSchemas({RegistryId(7): published(UPDATED)})
    codec = Codec(schemas)
    record = a_record(encode_event(a_status_update(), confluent_prefix(7)))

    for _ in range(3):
        codec.peek(UPDATED, record)
        codec.decode(UPDATED, record)

    assert schemas.asked == [RegistryId(7)]


def test_a_schema_named_in_headers_is_asked_for_once() -> None:
    # It was compiled anew for each record: about a hundred times the cost of the peek.
    schemas = KnownSchemas({RegistryId(7): published(UPDATED)})
    codec = Codec(schemas)
    record = a_record(encode_event(a_status_update(), b""), ((SCHEMA_HEADER, b"\0\0\0\0\7"),))

    for _ in range(3):
        codec.peek(UPDATED, record)
        codec.decode(UPDATED, record)

    assert schemas.asked == [RegistryId(7)]


def test_two_schemas_named_in_headers_are_kept_apart() -> None:
    wider = evolved(lambda fields: [{"name": "shard", "type": "string"}, *fields])
    codec = Codec(KnownSchemas({RegistryId(7): published(UPDATED), RegistryId(8): wider}))
    event = a_status_update()
    old = a_record(encode_event(event, b""), ((SCHEMA_HEADER, b"\0\0\0\0\7"),))
    value = wider.write(fields_of_event(event) | {"shard": "s-1"})
    new = a_record(value, ((SCHEMA_HEADER, b"\0\0\0\0\x08"),))

    assert [codec.peek(UPDATED, record) for record in (old, new, old)] == [event.routing] * 3


def test_memory_does_not_grow_with_noise() -> None:
    codec = Codec(KnownSchemas({}))

    for number in range(1_000):
        body = number.to_bytes(4, "big") * 3
        for value in (b"\0" + body, b"\xc3\1" + body, body):
            headers = ((SCHEMA_HEADER, b"\0" + body[:4]),)
            with pytest.raises(InvalidEvent):
                codec.peek(UPDATED, a_record(value, headers))

    assert sum(map(len, codec._readers.values())) == 0


@pytest.mark.parametrize(
    ("schema", "more"),
    [
        pytest.param(
            evolved(lambda fields: [*fields, {"name": "priority", "type": "long"}]),
            {"priority": 7},
            id="a field more at the end",
        ),
        pytest.param(
            evolved(lambda fields: [{"name": "shard", "type": "int"}, *fields]),
            {"shard": 2**20},
            id="a field more in front",
        ),
        pytest.param(
            evolved(lambda fields: list(reversed(fields))),
            {},
            id="the fields in reverse",
        ),
        pytest.param(
            evolved(
                lambda fields: [
                    *fields[:1],
                    {"name": "source", "type": ["string", "null"]},
                    {"name": "tags", "type": {"type": "array", "items": "string"}},
                    fields[2],
                    fields[1],
                    *fields[3:],
                ]
            ),
            {"source": None, "tags": ["a", "b"]},
            id="fields between the routing fields, and two of them swapped",
        ),
        pytest.param(
            evolved(
                lambda fields: [
                    {"name": "flag", "type": "boolean"},
                    {"name": "weight", "type": "double"},
                    {"name": "blob", "type": "bytes"},
                    {"name": "more", "type": {"type": "map", "values": "long"}},
                    *fields,
                ]
            ),
            {"flag": True, "weight": 0.5, "blob": b"\0\1", "more": {"a": 1}},
            id="kinds that the compiled peek does not know",
        ),
    ],
)
def test_an_evolved_writer_schema_is_read_right(schema: AvroSchema, more: Any) -> None:
    codec, record = written_with(schema, **more)

    assert codec.peek(UPDATED, record) == a_status_update().routing
    assert codec.decode(UPDATED, record) == a_status_update()


def test_a_writer_schema_may_lack_what_is_optional() -> None:
    required = {"event_id", "tenant_id", "status", "occurred_at", "file_id"}
    schema = evolved(lambda fields: [f for f in fields if f["name"] in required])
    codec, record = written_with(schema)

    event = codec.decode(UPDATED, record)

    assert codec.peek(UPDATED, record) == event.routing
    assert event.routing == a_status_update().routing._replace(previous_status=None, account_ids=())


@pytest.mark.parametrize("name", ["event_id", "tenant_id", "status"])
def test_a_writer_schema_that_lacks_a_routing_field_is_an_invalid_field(name: str) -> None:
    schema = evolved(lambda fields: [f for f in fields if f["name"] != name])
    codec, record = written_with(schema)

    for read in (codec.peek, codec.decode):
        with pytest.raises(InvalidEvent, match=f"^{name}: ") as caught:
            read(UPDATED, record)

        assert caught.value.reason is DeadLetterReason.INVALID_FIELD


def retyped(name: str, kind: Any) -> AvroSchema:
    return evolved(
        lambda fields: [f if f["name"] != name else {"name": name, "type": kind} for f in fields]
    )


@pytest.mark.parametrize("name", ["event_id", "tenant_id", "status"])
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param(["null", "string"], None, id="null"),
        pytest.param({"type": "array", "items": "string"}, ["a"], id="texts"),
        pytest.param("long", 7, id="a number"),
        pytest.param("bytes", b"a", id="bytes"),
    ],
)
def test_a_routing_field_of_another_kind_is_an_invalid_field(
    name: str, kind: Any, value: object
) -> None:
    # A null event id raised TypeError out of the peek, and so stopped the worker.
    codec, record = written_with(retyped(name, kind), **{name: value})

    for read in (codec.peek, codec.decode):
        with pytest.raises(InvalidEvent, match=f"^{name}: ") as caught:
            read(UPDATED, record)

        assert caught.value.reason is DeadLetterReason.INVALID_FIELD


@pytest.mark.parametrize("name", ["event_id", "tenant_id", "status"])
def test_a_routing_field_that_may_be_null_and_is_not_is_read(name: str) -> None:
    codec, record = written_with(retyped(name, ["null", "string"]))

    assert codec.peek(UPDATED, record) == a_status_update().routing
    assert codec.decode(UPDATED, record) == a_status_update()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param("string", "acc-7731", id="one text"),
        pytest.param(["null", "string"], "acc-7731", id="one text or null"),
        pytest.param("long", 7, id="a number"),
        pytest.param(["null", {"type": "array", "items": "string"}], None, id="null"),
        pytest.param({"type": "array", "items": "long"}, [7], id="numbers"),
        pytest.param({"type": "map", "values": "string"}, {"acc-7731": "a"}, id="a map"),
    ],
)
def test_accounts_of_another_kind_are_none(kind: Any, value: object) -> None:
    # A text was taken for a list of its letters, each an account.
    codec, record = written_with(retyped("account_ids", kind), account_ids=value)

    assert codec.peek(UPDATED, record).account_ids == ()
    assert codec.peek(UPDATED, record) == codec.decode(UPDATED, record).routing


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param({"type": "array", "items": "string"}, ["FIN_ACCEPTED"], id="texts"),
        pytest.param(["null", "long"], 7, id="a number"),
    ],
)
def test_a_previous_status_of_another_kind_is_unknown(kind: Any, value: object) -> None:
    codec, record = written_with(retyped("previous_status", kind), previous_status=value)

    assert codec.peek(UPDATED, record).previous_status is None
    assert codec.peek(UPDATED, record) == codec.decode(UPDATED, record).routing


def test_a_mail_survives_encoding_and_decoding() -> None:
    schema = published(OUTGOING_MAIL)
    codec = Codec(KnownSchemas({schema.fingerprint: schema}))
    mail = a_mail()

    assert codec.decode_mail(encode_mail(mail, single_object_prefix(schema.fingerprint))) == mail


def test_an_event_is_no_mail() -> None:
    schema = published(UPDATED)
    codec = Codec(KnownSchemas({schema.fingerprint: schema}))
    value = encode_event(a_status_update(), single_object_prefix(schema.fingerprint))

    with pytest.raises(InvalidEvent, match=r"push_services\.OutgoingMail") as caught:
        codec.decode_mail(value)

    assert caught.value.reason is DeadLetterReason.UNKNOWN_SCHEMA


def test_an_evaluation_survives_encoding_and_decoding() -> None:
    codec = Codec(KnownSchemas({RegistryId(7): published(EVALUATION)}))
    evaluation = Evaluation(
        topic="payment-status-updated",
        partition=3,
        first_offset=10,
        last_offset=19,
        rules_generation=Generation(7),
        engine_version="0.1.0",
        decided_at=a_mail().date,
        outcomes={Outcome.MAILED: 4, Outcome.NO_MATCH: 6},
    )

    assert codec.decode_evaluation(encode_evaluation(evaluation, confluent_prefix(7))) == evaluation
