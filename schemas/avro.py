"""Reading, writing and naming Avro: the one door to fastavro.

Logical types are taken off before reading: an instant or a day out of range is then a fault of
its field, not of the record, and reading is a third faster (measured; performance.md, section 4).
"""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import fastavro
from fastavro.schema import fingerprint as crc
from fastavro.schema import parse_schema, to_parsing_canonical_form

from schemas.errors import InvalidEvent, InvalidValue
from schemas.framing import Fingerprint
from schemas.vocabulary import DeadLetterReason

Fields = Mapping[str, Any]  # what a record of any schema holds


class AvroSchema:
    """A schema ready for reading and writing one record type."""

    def __init__(self, text: str) -> None:
        """Read a schema's JSON, or raise `InvalidValue`.

        One that contains itself is refused: fastavro reads its values by recursion without a limit,
        so a deeply nested value of a few hundred kilobytes ends the process (a segmentation fault).
        """
        try:
            self.declared: Any = json.loads(text)
            self._written = parse_schema(self.declared, named_schemas={})
            self._read = parse_schema(_without_logical_types(self.declared), named_schemas={})
            self.fingerprint = Fingerprint(
                crc(to_parsing_canonical_form(self.declared), "CRC-64-AVRO")
            )
        except Exception as error:  # foreign schemas make fastavro raise anything
            raise InvalidValue(f"not an Avro schema: {type(error).__name__}") from error
        if _contains_itself(self._read, frozenset()):
            raise InvalidValue("the schema contains itself")
        self.name = _full_name(self.declared)

    def read(self, value: bytes, start: int) -> Fields:
        """Return the fields of the record that fills `value` from `start` to its end.

        Logical types come as their base types. Raise `InvalidEvent` (`undecodable`) if the bytes
        are not exactly one record of this schema.
        """
        source = BytesIO(value)
        source.seek(start)
        try:
            fields = fastavro.schemaless_reader(source, self._read, None)
        except Exception as error:  # foreign bytes make fastavro raise anything
            detail = f"not Avro of schema {self.name}: {type(error).__name__}"
            raise InvalidEvent(DeadLetterReason.UNDECODABLE, detail) from error
        if source.tell() != len(value) or not isinstance(fields, dict):
            detail = f"not Avro of schema {self.name}: bytes are left over"
            raise InvalidEvent(DeadLetterReason.UNDECODABLE, detail)
        return fields

    def write(self, fields: Fields, prefix: bytes = b"") -> bytes:
        """Return `prefix` and the record's body. Instants and days may be their base types."""
        target = BytesIO()
        target.write(prefix)
        fastavro.schemaless_writer(target, self._written, fields)
        return target.getvalue()


def _without_logical_types(declared: Any) -> Any:
    if isinstance(declared, dict):
        return {
            key: _without_logical_types(part)
            for key, part in declared.items()
            if key != "logicalType"
        }
    if isinstance(declared, list):
        return [_without_logical_types(part) for part in declared]
    return declared


def _contains_itself(parsed: Any, around: frozenset[str]) -> bool:
    """Say whether a type lies within itself; `around` are the full names of those around it."""
    if isinstance(parsed, str):
        return parsed in around
    if isinstance(parsed, list):
        return any(_contains_itself(branch, around) for branch in parsed)
    kind = parsed["type"]
    if kind in ("record", "error"):
        around |= {parsed["name"]}
        return any(_contains_itself(field["type"], around) for field in parsed["fields"])
    inner = {"array": "items", "map": "values"}.get(kind) if isinstance(kind, str) else "type"
    return inner is not None and _contains_itself(parsed[inner], around)


def _full_name(declared: Any) -> str:
    if not isinstance(declared, dict) or declared.get("type") != "record":
        return ""
    name, namespace = str(declared["name"]), declared.get("namespace")
    return f"{namespace}.{name}" if namespace and "." not in name else name
