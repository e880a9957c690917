"""A rules file as it was written: what stands where, before anybody asks what it means.

Nodes are not frozen, though nobody changes one: a file of a million rules has fifty million, and
freezing doubles what it costs to build each.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What YAML takes a plain word for; a quoted one is always text."""

    TEXT = "text"
    NUMBER = "a number"
    FLAG = "true or false"
    NOTHING = "nothing"
    DATE = "a date"


@dataclass(slots=True, repr=False, eq=False)
class Scalar:
    """One word or text, at a line counted from 1. `is_true` is a flag's value."""

    line: int
    text: str
    kind: Kind = Kind.TEXT
    is_true: bool = False


@dataclass(slots=True, repr=False, eq=False)
class Listing:
    """A list."""

    line: int
    parts: tuple["Node", ...]


@dataclass(slots=True, repr=False, eq=False)
class Table:
    """Keys and what stands under them, in the file's order; a key may come twice."""

    line: int
    entries: tuple[tuple["Node", "Node"], ...]


Node = Scalar | Listing | Table


@dataclass(frozen=True, slots=True)
class NotYaml:
    """Why a text cannot be read, at a line counted from 1."""

    line: int
    reason: str


@dataclass(slots=True)
class Part:
    """A part of the file's main list, at its place in it counted from 0."""

    at: int
    node: Node


@dataclass(slots=True)
class Rest:
    """What a file has around the parts of its main list, which is empty here."""

    node: Node
