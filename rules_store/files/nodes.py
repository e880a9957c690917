"""A rules file as it was written: what stands where, before anybody asks what it means."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What YAML takes a plain word for; a quoted one is always text."""

    TEXT = "text"
    NUMBER = "a number"
    FLAG = "true or false"
    NOTHING = "nothing"
    DATE = "a date"


@dataclass(frozen=True, slots=True, repr=False)
class Scalar:
    """One word or text, at a line counted from 1. `is_true` is a flag's value."""

    line: int
    text: str
    kind: Kind = Kind.TEXT
    is_true: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Listing:
    """A list."""

    line: int
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True, repr=False)
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
