"""Plain values as the nodes of a file: what the store has is then judged as a file is."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from rules_store.files.fields import Field
from rules_store.files.nodes import Kind, Listing, Node, Scalar, Table

Thing = TypeVar("Thing")


def as_node(value: object, line: int = 0) -> Node:
    """Return text, flags, lists and mappings as nodes, all at one line."""
    match value:
        case str():
            return Scalar(line, value)
        case bool():
            return Scalar(line, str(value).lower(), Kind.FLAG, value)
        case Mapping():
            entries = ((as_node(key, line), as_node(each, line)) for key, each in value.items())
            return Table(line, tuple(entries))
        case list() | tuple():
            return Listing(line, tuple(as_node(each, line) for each in value))
        case None:
            return Scalar(line, "", Kind.NOTHING)
    return Scalar(line, str(value), Kind.NUMBER)


def says(node: Node, value: object) -> bool:
    """Say whether a node says exactly this, wherever it stands and in whatever order of keys."""
    match value:
        case Mapping():
            return isinstance(node, Table) and _says_all(node, value)
        case list():
            return (
                isinstance(node, Listing)
                and len(node.parts) == len(value)
                and all(map(says, node.parts, value))
            )
        case str():
            return isinstance(node, Scalar) and (node.kind, node.text) == (Kind.TEXT, value)
        case bool():
            return isinstance(node, Scalar) and (node.kind, node.is_true) == (Kind.FLAG, value)
    return False


def _says_all(node: Table, value: Mapping[str, object]) -> bool:
    found = {key.text: each for key, each in node.entries if isinstance(key, Scalar)}
    return found.keys() == value.keys() and all(says(found[key], value[key]) for key in value)


def kept(
    part: Field,
    read: Callable[[], Thing | None],
    stored: Thing | None,
    plain: Callable[[Thing], Mapping[str, object]],
) -> Thing | None:
    """Return what is read, or the stored thing where it has faults and the file says just that.

    Raw SQL may bring in what a file may not. An export says it all the same, and applying it
    must change nothing: so its faults become notes, and it stays as it is.
    """
    mark = part.report.mark()
    thing = read()
    if stored is None or not part.report.is_faulty_since(mark):
        return thing
    if not says(part.node, plain(stored)):
        return thing
    part.report.forgive(mark, "the store has it so, and it stays")
    return stored
