import pytest

from schemas.errors import InvalidEvent
from schemas.framing import (
    SCHEMA_HEADER,
    Fingerprint,
    Framed,
    RegistryGuid,
    RegistryId,
    confluent_prefix,
    single_object_prefix,
    unframe,
)
from schemas.vocabulary import DeadLetterReason

GUID = RegistryGuid("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")
GUID_BYTES = bytes.fromhex("0a1b2c3d4e5f60718293a4b5c6d7e8f9")


@pytest.mark.parametrize(
    ("value", "framed"),
    [
        pytest.param(b"\0\0\0\1\2body", Framed(RegistryId(258), 5), id="big-endian id"),
        pytest.param(b"\0\xff\xff\xff\xff", Framed(RegistryId(2**32 - 1), 5), id="largest id"),
        pytest.param(b"\0\0\0\0\1", Framed(RegistryId(1), 5), id="empty body"),
        pytest.param(
            b"\xc3\1\1\2\3\4\5\6\7\x08body",
            Framed(Fingerprint("0102030405060708"), 10),
            id="single-object encoding",
        ),
    ],
)
def test_the_first_bytes_name_the_schema(value: bytes, framed: Framed) -> None:
    assert unframe(value) == framed


@pytest.mark.parametrize(
    ("header", "schema"),
    [
        pytest.param(b"\0\0\0\1\2", RegistryId(258), id="registry id"),
        pytest.param(b"\1" + GUID_BYTES, GUID, id="GUID"),
    ],
)
def test_a_header_names_the_schema_of_a_bare_value(
    header: bytes, schema: RegistryId | RegistryGuid
) -> None:
    framed = unframe(b"\x48body", ((SCHEMA_HEADER, header),))

    assert framed == Framed(schema, 0)


def test_other_headers_say_nothing() -> None:
    headers = (("traceparent", b"00-1"), (SCHEMA_HEADER, None), (SCHEMA_HEADER, b"\0\0\0\0\7"))

    assert unframe(b"\x48body", headers) == Framed(RegistryId(7), 0)


def test_the_bytes_are_asked_before_the_headers() -> None:
    framed = unframe(b"\0\0\0\0\1body", ((SCHEMA_HEADER, b"\0\0\0\0\2"),))

    assert framed == Framed(RegistryId(1), 5)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\0\0\0\0", id="an id cut short"),
        pytest.param(b"\xc3\1\1\2\3\4\5\6\7", id="a fingerprint cut short"),
        pytest.param(b"\xc3\2\1\2\3\4\5\6\7\x08", id="another version of the marker"),
        pytest.param(b'{"event_id": "x"}', id="JSON"),
        pytest.param(b"Obj\1\4\x14avro.codec", id="an Avro container file"),
    ],
)
def test_what_names_no_schema_is_no_event(value: bytes) -> None:
    with pytest.raises(InvalidEvent) as caught:
        unframe(value)

    assert caught.value.reason is DeadLetterReason.UNKNOWN_FRAMING


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0\0\0\1", id="an id cut short"),
        pytest.param(b"\0\0\0\0\1\1", id="an id too long"),
        pytest.param(b"\1" + GUID_BYTES[:-1], id="a GUID cut short"),
        pytest.param(b"\2" + GUID_BYTES, id="a marker nobody knows"),
    ],
)
def test_a_header_that_names_no_schema_makes_no_event(header: bytes) -> None:
    with pytest.raises(InvalidEvent, match=SCHEMA_HEADER) as caught:
        unframe(b"\x48body", ((SCHEMA_HEADER, header),))

    assert caught.value.reason is DeadLetterReason.UNKNOWN_FRAMING


def test_each_prefix_is_read_back() -> None:
    fingerprint = Fingerprint("8f5c393f1ad57572")

    assert unframe(confluent_prefix(70_000)).schema == RegistryId(70_000)
    assert unframe(single_object_prefix(fingerprint)).schema == fingerprint


def test_the_prefixes_have_the_bytes_of_their_specifications() -> None:
    assert confluent_prefix(258) == b"\0\0\0\1\2"
    assert single_object_prefix(Fingerprint("8f5c393f1ad57572")).hex() == "c3018f5c393f1ad57572"
