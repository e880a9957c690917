"""A stream of spoilt records, the same for the same seed."""

from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from random import Random
from typing import Any, NamedTuple

import fastavro
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

from schemas.records import Headers, Record
from tests.campaigns.fuzz.mutations import HUGE, MUTATIONS
from tests.campaigns.fuzz.schemas import PLAIN, REJECTED, UPDATED, by_id
from tests.campaigns.fuzz.values import event

KEPT = 500  # sound records at hand


class Fuzzed(NamedTuple):
    """A record and what was done to it."""

    record: Record
    mutation: str


class Sound(NamedTuple):
    """A record as a producer would write it."""

    topic: str
    value: bytes
    headers: Headers


class Fuzzer:
    """Makes records; one in fifty bears hostile headers, one in two hundred has no value."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self._schemas = {number: parse_schema(schema) for number, schema in by_id().items()}
        self._fingerprints = {
            number: bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
            for number, schema in by_id().items()
        }
        self._kept = [self._made() for _ in range(KEPT)]

    def records(self, count: int) -> Iterator[Fuzzed]:
        """Yield so many records."""
        for offset in range(count):
            yield self._record(offset)

    def of_unknown_schemas(self, count: int) -> Iterator[Fuzzed]:
        """Yield so many records, each of a schema of its own that nobody knows."""
        for number in range(count):
            value = b"\0" + (number + 1_000).to_bytes(4, "big") + b"body"
            yield Fuzzed(Record(UPDATED, 0, number, -1, b"key", value), "unknown_schema")

    def huge(self, count: int) -> Iterator[Fuzzed]:
        """Yield so many records of the largest kinds, which are rare among all."""
        for offset in range(count):
            topic, value, headers = self._sound()
            mutation = self._chance.choice(HUGE)
            spoilt = mutation(self._chance, value, b"")
            yield Fuzzed(Record(topic, 0, offset, -1, b"key", spoilt, headers), mutation.__name__)

    def _record(self, offset: int) -> Fuzzed:
        chance = self._chance
        topic, value, headers = self._sound()
        other = chance.choice(self._kept).value
        mutation = chance.choice(MUTATIONS)
        spoilt: bytes | None = mutation(chance, value, other)
        if chance.random() < 0.1:
            spoilt = chance.choice(MUTATIONS)(chance, spoilt or b"", other)
        if chance.random() < 0.005:
            spoilt = None
        if chance.random() < 0.02:
            headers = (*headers, *self._hostile_headers())
        name = mutation.__name__ if spoilt is not None else "no_value"
        return Fuzzed(Record(topic, offset % 12, offset, -1, b"key", spoilt, headers), name)

    def _sound(self) -> Sound:
        """Return one of those at hand; every fourth time it was just made."""
        at = self._chance.randrange(KEPT)
        if self._chance.random() < 0.25:
            self._kept[at] = self._made()
        return self._kept[at]

    def _made(self) -> Sound:
        """Make a record, one in ten of another record's schema than the topic's."""
        chance = self._chance
        topic = chance.choice((REJECTED, UPDATED))
        plain, last = PLAIN[topic], PLAIN[topic] + 3
        number = chance.randint(plain, last)
        if chance.random() < 0.1:
            number = chance.choice(list(by_id()))
        framing, fields = chance.random(), event(chance, topic)
        if framing < 0.5:
            value = b"\0" + number.to_bytes(4, "big") + self._body(number, fields)
            return Sound(topic, value, ())
        if framing < 0.9:
            value = b"\xc3\x01" + self._fingerprints[plain] + self._body(plain, fields)
            return Sound(topic, value, ())
        header = ("__value_schema_id", b"\0" + number.to_bytes(4, "big"))
        return Sound(topic, self._body(number, fields), (header,))

    def _body(self, number: int, fields: dict[str, Any]) -> bytes:
        target = BytesIO()
        with suppress(KeyError, TypeError, ValueError):  # another record's fields: a beginning
            fastavro.schemaless_writer(target, self._schemas[number], fields)
        return target.getvalue()

    def _hostile_headers(self) -> Headers:
        chance = self._chance
        names = ("__value_schema_id", "push.redrive-of", "push.redrive-rule", "push.redrive-group")
        contents = (
            None,
            b"",
            b"group",
            b"dead-letter/0/1",
            b"r-all",
            b"\x00\x00\x00\x00\x01",
            b"\x01" + chance.randbytes(16),
            b"\xff" * 30,
            b"x" * 5_000,
        )
        return tuple((chance.choice(names), chance.choice(contents)) for _ in range(3))
