"""A writer schema, compiled into a function that reads an event's routing fields and then stops.

Most events are wanted by no rule, so most records are never read further: damage behind the
routing fields of such a record goes unseen (R40). A schema whose routing fields or what lies before
them are of a kind unknown here is read in full by fastavro instead; it is also the oracle in tests.

The function is made as source text: one straight run without calls for short values costs a
third of a chain of closures (performance.md, section 4).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from schemas.avro import AvroSchema
from schemas.errors import InvalidEvent
from schemas.events import Routing
from schemas.fields import (
    UUID_SHAPE,
    checked_event_id,
    checked_tenant_id,
    is_uuid,
    routing_from_fields,
)
from schemas.vocabulary import DeadLetterReason, EventType

Peek = Callable[[bytes, int], Routing]

_ROUTING_FIELDS = {
    EventType.PAYMENT_FILE_REJECTED: ("event_id", "tenant_id"),
    EventType.PAYMENT_STATUS_UPDATED: (
        "event_id",
        "tenant_id",
        "status",
        "previous_status",
        "account_ids",
    ),
}
_OPTIONAL = {"previous_status": "None", "account_ids": "()"}  # what a schema without them means
_ABSENT = {"status": "None", **_OPTIONAL}  # what the other event type has in a field's place

#: The kinds of a routing field that are read here; another kind is for `_read_in_full` to judge.
_FITTING = {
    "event_id": ("text",),
    "tenant_id": ("text",),
    "status": ("text",),
    "previous_status": ("text", "optional text"),
    "account_ids": ("texts",),
}


def compile_peek(schema: AvroSchema, event_type: EventType) -> Peek:
    """Return a function (value, start of the Avro body) → Routing.

    It raises `InvalidEvent`: `undecodable` where the bytes end too early or say nonsense,
    `invalid_field` where an id or a status cannot be meant.
    """
    return _compiled(schema, event_type) or _read_in_full(schema, event_type)


def checked(routing: Routing) -> Routing:
    """Return the routing if its ids and status can be meant, else raise `InvalidEvent`."""
    if not is_uuid(routing.event_id):
        checked_event_id(routing.event_id)
    if not routing.tenant_id:
        checked_tenant_id(routing.tenant_id)
    if routing.status == "":
        raise InvalidEvent(DeadLetterReason.INVALID_FIELD, "status: empty or missing")
    return routing


class _Damaged(Exception):
    """A length that cannot be."""


def _number(value: bytes, at: int) -> tuple[int, int]:
    """Read a zigzag varint of at most ten bytes; return it and the place behind it."""
    shift = accumulated = 0
    while True:
        byte = value[at]
        at += 1
        accumulated |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (accumulated >> 1) ^ -(accumulated & 1), at
        shift += 7
        if shift > 63:
            raise _Damaged


def _length(value: bytes, at: int) -> tuple[int, int]:
    """Read the length of what follows; it must lie inside the value."""
    length, at = _number(value, at)
    if length < 0 or length > len(value) - at:
        raise _Damaged
    return length, at


def _texts(value: bytes, at: int) -> tuple[tuple[str, ...], int]:
    """Read an array of strings, block by block (Avro specification, arrays)."""
    texts: list[str] = []
    while True:
        count, at = _number(value, at)
        if count == 0:
            return tuple(texts), at
        if count < 0:
            count = -count
            _, at = _number(value, at)  # the block's size in bytes, of use for skipping only
        for _ in range(count):
            length, at = _length(value, at)
            texts.append(value[at : at + length].decode())
            at += length


# A text that ends behind the value is cut by the slice; whatever is read next then fails, and
# behind the last step stands a check. So nothing is checked twice on the way.
_TEXT = """\
        n = value[at]
        if n & 0x81:
            n, at = length(value, at)
        else:
            at += 1
            n >>= 1
        end = at + n
        {name} = value[at:end].decode()
        at = end
"""

_TEXTS = """\
        {name} = None
        if value[at] == 2:  # one block of one short text, as most are
            n = value[at + 1]
            if not n & 0x81:
                end = at + 2 + (n >> 1)
                if value[end] == 0:
                    {name} = (value[at + 2 : end].decode(),)
                    at = end + 1
        if {name} is None:
            {name}, at = texts(value, at)
"""

_PEEK = """\
def peek(value, at):
    try:
{steps}\
        if at > len(value):
            raise Damaged
    except (IndexError, UnicodeDecodeError, Damaged) as error:
        raise damaged() from error
    if is_uuid(event_id) and {needed}:
        return new(Routing, (EVENT_TYPE, {arguments}))
    return checked(Routing(EVENT_TYPE, {arguments}))
"""


def _compiled(schema: AvroSchema, event_type: EventType) -> Peek | None:
    """Return the reader, or None where the schema has a construct that it does not know."""
    wanted = _ROUTING_FIELDS[event_type]
    declared = schema.declared.get("fields", [])
    steps = _steps([(str(field["name"]), field["type"]) for field in declared], wanted)
    if steps is None:
        return None
    given = {name for name, _ in steps}
    source = _PEEK.format(
        steps="".join(step for _, step in steps),
        needed=" and ".join(name for name in ("tenant_id", "status") if name in wanted),
        arguments=", ".join(
            name if name in given else _ABSENT[name] for name in Routing._fields[1:]
        ),
    )
    names: dict[str, Any] = {
        "Routing": Routing,
        "EVENT_TYPE": event_type,
        "Damaged": _Damaged,
        "checked": checked,
        "damaged": partial(_damaged, schema),
        "is_uuid": UUID_SHAPE.fullmatch,
        "length": _length,
        "new": tuple.__new__,  # what a NamedTuple's own does, without a call in between
        "number": _number,
        "texts": _texts,
    }
    exec(source, names)  # noqa: S102  the text is made of constants and our own field names alone
    peek: Peek = names["peek"]
    return peek


def _damaged(schema: AvroSchema) -> InvalidEvent:
    detail = f"not Avro of schema {schema.name}: routing fields are damaged"
    return InvalidEvent(DeadLetterReason.UNDECODABLE, detail)


def _steps(
    declared: Sequence[tuple[str, Any]], wanted: Sequence[str]
) -> list[tuple[str, str]] | None:
    """Return (field, source text) up to the last wanted field; None where one is not known."""
    names = [name for name, _ in declared]
    if any(name not in names and name not in _OPTIONAL for name in wanted):
        return None
    last = max(names.index(name) for name in wanted if name in names)
    steps = []
    for name, kind in declared[: last + 1]:
        step = _step(name, kind, name in wanted)
        if step is None:
            return None
        steps.append((name, step))
    return steps


def _step(name: str, kind: Any, is_wanted: bool) -> str | None:
    shape = _shape(kind)
    if is_wanted and shape not in _FITTING[name]:
        return None
    target = name if is_wanted else "_"
    match shape:
        case "text":
            return _TEXT.format(name=target)
        case "optional text":
            return _optional_text(target, kind)
        case "texts":
            return _TEXTS.format(name=target)
        case "number":
            return "        _, at = number(value, at)\n"
    return None


def _shape(kind: Any) -> str | None:
    """Return what a field holds, or None where the compiled reader cannot step over it."""
    if _is_text(kind):
        return "text"
    if isinstance(kind, list):
        known = len(kind) == 2 and "null" in kind and _is_text(kind[1 - kind.index("null")])
        return "optional text" if known else None
    bare = kind.get("type") if isinstance(kind, dict) else kind
    if bare == "array" and _is_text(kind["items"]):
        return "texts"
    return "number" if bare in ("int", "long") else None


def _optional_text(target: str, kind: list[Any]) -> str:
    """Return the step over a union; its branches are compared as they are written, twice as big."""
    null_at = kind.index("null")
    nested = "".join(f"    {line}\n" for line in _TEXT.format(name=target).splitlines())
    return (
        "        branch = value[at]\n"
        "        if branch < 0x80:\n            at += 1\n"
        "        else:\n            branch, at = number(value, at)\n            branch *= 2\n"
        f"        if branch == {2 - 2 * null_at}:\n{nested}"
        f"        elif branch == {2 * null_at}:\n            {target} = None\n"
        "        else:\n            raise Damaged\n"
    )


def _is_text(kind: Any) -> bool:
    return kind == "string" or (isinstance(kind, dict) and kind.get("type") == "string")


def _read_in_full(schema: AvroSchema, event_type: EventType) -> Peek:
    def peek(value: bytes, start: int) -> Routing:
        return checked(routing_from_fields(event_type, schema.read(value, start)))

    return peek
