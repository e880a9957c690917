import json
from typing import Any

import pytest

from schemas.avro import AvroSchema
from schemas.errors import InvalidEvent, InvalidValue
from schemas.framing import single_object_prefix
from schemas.published import NAMES, published, text_of
from schemas.vocabulary import DeadLetterReason

_EMPTY = 0xC15D213AA4D7A795  # Avro specification, "Schema Fingerprints"
_CANONICAL_ORDER = ("name", "type", "fields", "symbols", "items", "values", "size")


def crc_64_avro(text: str) -> int:
    """Compute the fingerprint bit by bit, as the specification's pseudo-code defines it."""
    crc = _EMPTY
    for byte in text.encode():
        mixed = (crc ^ byte) & 0xFF
        for _ in range(8):
            mixed = (mixed >> 1) ^ (_EMPTY if mixed & 1 else 0)
        crc = (crc >> 8) ^ mixed
    return crc


def canonical(declared: Any, namespace: str = "") -> Any:
    """Bring a schema into the specification's canonical form, but for the white space."""
    if isinstance(declared, list):
        return [canonical(part, namespace) for part in declared]
    if not isinstance(declared, dict):
        return declared
    if "name" in declared and declared["type"] in ("record", "enum", "fixed"):
        namespace = declared.get("namespace", namespace)
        declared = {**declared, "name": f"{namespace}.{declared['name']}"}
    kept = {key: canonical(declared[key], namespace) for key in _CANONICAL_ORDER if key in declared}
    return kept["type"] if list(kept) == ["type"] else kept


def test_the_fingerprint_of_int_is_that_of_the_specification() -> None:
    # 7275d51a3f395c8f as a number; the wire has its bytes from the last to the first.
    assert crc_64_avro('"int"') == 0x7275D51A3F395C8F
    assert AvroSchema('"int"').fingerprint.hexadecimal == "8f5c393f1ad57572"


@pytest.mark.parametrize("name", NAMES)
def test_fingerprints_equal_an_independent_computation(name: str) -> None:
    text = json.dumps(canonical(json.loads(text_of(name))), separators=(",", ":"))

    in_wire_order = crc_64_avro(text).to_bytes(8, "little").hex()

    assert published(name).fingerprint.hexadecimal == in_wire_order


def test_a_value_in_single_object_encoding_has_exactly_these_bytes() -> None:
    schema = AvroSchema('{"type":"record","name":"R","fields":[{"name":"f","type":"string"}]}')
    canonical_form = '{"name":"R","type":"record","fields":[{"name":"f","type":"string"}]}'

    value = schema.write({"f": "ä"}, single_object_prefix(schema.fingerprint))

    fingerprint = crc_64_avro(canonical_form).to_bytes(8, "little")
    assert value == b"\xc3\x01" + fingerprint + b"\x04\xc3\xa4"


RECORD = (
    '{"type": "record", "name": "R", "namespace": "n", "fields": ['
    '{"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},'
    '{"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]}]}'
)


def test_logical_types_are_read_as_their_base_types() -> None:
    schema = AvroSchema(RECORD)
    value = schema.write({"at": 2**62, "day": -(2**31)}, b"prefix")

    assert schema.read(value, len(b"prefix")) == {"at": 2**62, "day": -(2**31)}


def test_two_schemas_may_have_parts_of_one_name() -> None:
    text = text_of("payment-file-rejected")

    assert AvroSchema(text).fingerprint == AvroSchema(text).fingerprint


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda value: value[:-1], id="cut"),
        pytest.param(lambda value: value + b"\0", id="left over"),
        pytest.param(lambda value: b"", id="nothing"),
        pytest.param(lambda value: value[:-2] + b"\x04", id="a branch that is not there"),
    ],
)
def test_bytes_of_no_record_are_undecodable(spoil: Any) -> None:
    schema = AvroSchema(RECORD)

    with pytest.raises(InvalidEvent, match=r"not Avro of schema n\.R") as caught:
        schema.read(spoil(schema.write({"at": 0, "day": 0})), 0)

    assert caught.value.reason is DeadLetterReason.UNDECODABLE


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("{", id="no JSON"),
        pytest.param("7", id="a number"),
        pytest.param('"no-such-type"', id="an unknown type"),
        pytest.param('{"type": "record", "fields": []}', id="a record without a name"),
        pytest.param('syntax = "proto3"; message M {}', id="Protocol Buffers"),
        pytest.param("[" * 100_000, id="nested beyond reason"),
    ],
)
def test_what_is_no_schema_is_an_invalid_value(text: str) -> None:
    with pytest.raises(InvalidValue, match="not an Avro schema"):
        AvroSchema(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param(RECORD, "n.R", id="namespace"),
        pytest.param('{"type":"record","name":"a.b.R","fields":[]}', "a.b.R", id="dotted"),
        pytest.param('{"type":"record","name":"R","fields":[]}', "R", id="no namespace"),
        pytest.param('"string"', "", id="no record"),
    ],
)
def test_a_schema_knows_its_full_name(text: str, name: str) -> None:
    assert AvroSchema(text).name == name


NODE = {"type": "record", "name": "Node", "namespace": "n", "fields": []}


def a_record_with(kind: Any) -> str:
    declared = {"type": "record", "name": "R", "fields": [{"name": "f", "type": kind}]}
    return json.dumps(declared | {"namespace": "n"})


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(["null", "R"], id="itself"),
        pytest.param({"type": "array", "items": "n.R"}, id="an array of itself"),
        pytest.param({"type": "map", "values": ["null", "R"]}, id="a map of itself"),
        pytest.param(
            NODE | {"fields": [{"name": "up", "type": ["null", "R"]}]}, id="through another"
        ),
    ],
)
def test_a_schema_that_contains_itself_is_refused(kind: Any) -> None:
    # Found by fuzzing: a value of such a schema, 100,000 levels deep in 300 kB, ended the process
    # with a segmentation fault, came again after the restart, and ended it again.
    with pytest.raises(InvalidValue, match="contains itself"):
        AvroSchema(a_record_with(kind))


def test_a_schema_that_uses_a_type_twice_is_none_that_contains_itself() -> None:
    node = NODE | {"fields": [{"name": "next", "type": "string"}]}
    fields = [
        {"name": "a", "type": node},
        {"name": "b", "type": {"type": "array", "items": "Node"}},
    ]
    declared = {"type": "record", "name": "R", "namespace": "n", "fields": fields}

    assert AvroSchema(json.dumps(declared)).name == "n.R"
