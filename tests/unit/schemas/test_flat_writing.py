"""The compiled writer against fastavro."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.avro import AvroSchema
from schemas.fields import fields_of_mail
from schemas.flat_writing import compile_writer, number
from schemas.published import OUTGOING_MAIL, published
from tests.builders import an_outgoing_mail

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LONG = st.integers(-(2**63), 2**63 - 1)
FLAT = AvroSchema(
    json.dumps(
        {
            "type": "record",
            "name": "Flat",
            "fields": [
                {"name": "a", "type": "string"},
                {"name": "b", "type": ["null", "string"]},
                {"name": "c", "type": "long"},
                {"name": "d", "type": {"type": "long", "logicalType": "timestamp-millis"}},
                {"name": "e", "type": "boolean"},
            ],
        }
    )
)
WRITE = compile_writer(FLAT)


# Would catch: a length of another width, a null without its branch, a negative number.
@given(TEXT, st.none() | TEXT, LONG, LONG, st.booleans(), st.binary(max_size=10))
@example("x" * 63, "x" * 64, -1, 0, True, b"")
@example("x" * 8192, "", -(2**63), 2**63 - 1, False, b"\xc3\x01")
def test_it_writes_what_fastavro_writes(
    a: str, b: str | None, c: int, d: int, e: bool, prefix: bytes
) -> None:
    fields = {"a": a, "b": b, "c": c, "d": d, "e": e}

    assert WRITE(fields, prefix) == FLAT.write(fields, prefix)


@pytest.mark.parametrize("changes", [{}, {"file_id": None, "thread_root": None, "fallback": True}])
def test_a_mail_is_written_as_fastavro_writes_it(changes: dict[str, object]) -> None:
    schema, fields = published(OUTGOING_MAIL), fields_of_mail(an_outgoing_mail(**changes))

    assert compile_writer(schema) != schema.write
    assert compile_writer(schema)(fields, b"p") == schema.write(fields, b"p")


def test_a_schema_of_other_kinds_is_left_to_fastavro() -> None:
    schema = AvroSchema(
        '{"type": "record", "name": "R", "fields": [{"name": "a", "type": "double"}]}'
    )

    assert compile_writer(schema)({"a": 0.5}, b"p") == schema.write({"a": 0.5}, b"p")


def test_a_number_is_seven_bits_a_byte_the_lowest_first() -> None:
    assert [number(value) for value in (0, -1, 1, 64)] == [b"\0", b"\1", b"\2", b"\x80\1"]
    assert [number(value) for value in (63, -65, 8191, 8192)] == [
        b"\x7e",
        b"\x81\1",
        b"\xfe\x7f",
        b"\x80\x80\1",
    ]
