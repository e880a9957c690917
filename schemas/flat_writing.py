"""The schema of a flat record, compiled into a function that writes it.

An outgoing mail is written for each mail, and its fields are texts and a few numbers: one straight
run takes a third of what fastavro does. A schema with any other kind of field is left to fastavro,
which is also the oracle in tests.
"""

from collections.abc import Callable, Iterator
from typing import Any

from schemas.avro import AvroSchema, Fields

Write = Callable[[Fields, bytes], bytes]

_SIZES = tuple(bytes([size * 2]) for size in range(64))  # those that zigzag makes one byte of


def compile_writer(schema: AvroSchema) -> Write:
    """Return a function (fields, prefix) → prefix and the record's body; see `AvroSchema.write`."""
    kinds = [_kind(field["type"]) for field in schema.declared["fields"]]
    if "" in kinds:
        return schema.write
    names = [field["name"] for field in schema.declared["fields"]]
    source = "\n ".join(["def write(fields, prefix):", *_lines(names, kinds)])
    scope: dict[str, Any] = {"sizes": _SIZES, "number": number}
    exec(source, scope)  # noqa: S102  made of the kinds above and of names in repr
    write: Write = scope["write"]
    return write


def number(value: int) -> bytes:
    """Return a long as Avro writes it: zigzag, then seven bits a byte, the lowest first."""
    rest = (value << 1) ^ (value >> 63)
    if rest <= 0x7F:
        return bytes((rest,))
    if rest <= 0x3FFF:  # the size of most texts
        return bytes((rest & 0x7F | 0x80, rest >> 7))
    written = bytearray()
    while rest > 0x7F:
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    written.append(rest)
    return bytes(written)


def _kind(declared: Any) -> str:
    if isinstance(declared, dict) and declared.get("type") == "long":
        return "long"
    if declared == ["null", "string"]:
        return "optional string"
    return declared if declared in ("string", "long", "boolean") else ""


def _lines(names: list[str], kinds: list[str]) -> Iterator[str]:
    parts = ["prefix"]
    for at, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        head, text, value = f"h{at}", f"t{at}", f"fields[{name!r}]"
        parts.append(head)
        size = f"sizes[len({text})] if len({text}) < 64 else number(len({text}))"
        match kind:
            case "string":
                yield f"{text} = {value}.encode(); {head} = {size}"
                parts.append(text)
            case "optional string":
                yield f"{text} = {value}; {head} = b'\\0' if {text} is None else b'\\2'"
                yield f"if {text} is None: {text} = b''"
                yield f"else: {text} = {text}.encode(); {head} += {size}"
                parts.append(text)
            case "long":
                yield f"{head} = number({value})"
            case _:
                yield f"{head} = b'\\1' if {value} else b'\\0'"
    yield f"return b''.join(({', '.join(parts)}))"
