"""Asking a node for what a form expects: each answer is the value, or a fault and None.

Faults and notes are lines `FILE:LINE: path.to.field: what is wrong`. They quote the wrong word,
but nothing that may be an address, an IBAN or a person's name.
"""

import difflib
import json
import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from rules_store.files.nodes import Kind, Listing, Node, Scalar, Table

LONGEST_TEXT = 200  #: characters of an id, a name or a description
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
#: What may be an address or an IBAN.
_PRIVATE = re.compile(r"@|(?<![A-Za-z0-9])[A-Za-z]{2}\s?\d{2}(?:\s?[A-Za-z0-9]){11}")
NOT_SHOWN = "(not shown)"
_SHOWN = 40  # characters of a wrong word


@dataclass(slots=True)
class Report:
    """What is wrong with a set of files, and what is worth a word."""

    faults: list[tuple[str, int, str]] = field(default_factory=list)  # file, line, the rest
    notes: list[tuple[str, int, str]] = field(default_factory=list)

    def mark(self) -> tuple[int, int]:
        """Return how much was reported so far."""
        return len(self.faults), len(self.notes)

    def is_faulty_since(self, mark: tuple[int, int]) -> bool:
        """Say whether there was a fault since then."""
        return len(self.faults) > mark[0]

    def rewind(self, mark: tuple[int, int]) -> None:
        """Forget what was reported since then."""
        del self.faults[mark[0] :], self.notes[mark[1] :]

    def forgive(self, mark: tuple[int, int], why: str) -> None:
        """Make notes of the faults since then."""
        for file, line, rest in self.faults[mark[0] :]:
            path, _, what = rest.partition(": ")
            self.notes.append((file, line, f"{path}: note: {what}; {why}"))
        del self.faults[mark[0] :]

    def fault_lines(self) -> tuple[str, ...]:
        """Return the faults as lines, file by file, from top to bottom."""
        return _lines(self.faults)

    def note_lines(self) -> tuple[str, ...]:
        """Return the notes as lines, file by file, from top to bottom."""
        return _lines(self.notes)


def _lines(found: Iterable[tuple[str, int, str]]) -> tuple[str, ...]:
    files = dict.fromkeys(file for file, _, _ in found)
    order = {file: at for at, file in enumerate(files)}
    ordered = sorted(found, key=lambda place: (order[place[0]], place[1]))
    return tuple(f"{file}:{line}: {rest}" for file, line, rest in ordered)


@dataclass(slots=True, eq=False, repr=False)
class Field:
    """A node with its place: which file, and the keys that lead to it from the field around it.

    Not frozen, as nodes are not: a large file has millions.
    """

    file: str
    node: Node
    report: Report
    around: "Field | None" = None
    key: str = ""  #: as it continues the path of the field around it: `.name` or `[3]`

    @property
    def path(self) -> str:
        """Return the keys from the top of the file, like `tenants[0].rules[3].statuses`."""
        return f"{self.around.path}{self.key}".lstrip(".") if self.around else self.key

    def fault(self, what: str) -> None:
        """Report what is wrong here."""
        self._fault_at(self.node.line, self.path, what)

    def note(self, what: str) -> None:
        """Report what is worth a word, but no fault."""
        self.report.notes.append((self.file, self.node.line, f"{self.path}: note: {what}"))

    def under(self, key: str, node: Node) -> "Field":
        """Return the field of a key."""
        return Field(self.file, node, self.report, self, f".{key}")

    def part(self, at: int, node: Node) -> "Field":
        """Return the field of a list's part."""
        return Field(self.file, node, self.report, self, f"[{at}]")

    def instead(self, text: str) -> "Field":
        """Return this place with another text, a part of what stands there."""
        other = Scalar(self.node.line, text)
        return Field(self.file, other, self.report, self.around, self.key)

    def _fault_at(self, line: int, path: str, what: str) -> None:
        self.report.faults.append((self.file, line, f"{path or 'file'}: {what}"))

    def find(self, name: str) -> "Field | None":
        """Return the field of a key if the mapping has it, once or more often; no faults."""
        for key, node in self.node.entries if isinstance(self.node, Table) else ():
            if isinstance(key, Scalar) and key.text == name:
                return self.under(name, node)
        return None

    def word_at(self, name: str) -> str:
        """Return the text under a key, "" if there is none; no faults."""
        found = self.find(name)
        return found.node.text if found and isinstance(found.node, Scalar) else ""

    def parts(self) -> "tuple[Field, ...] | None":
        """Return the fields of a list."""
        if not isinstance(self.node, Listing):
            self.fault("must be a list")
            return None
        return tuple(self.part(at, node) for at, node in enumerate(self.node.parts))

    def some_parts(self) -> "tuple[Field, ...] | None":
        """Return the fields of a list that must not be empty."""
        parts = self.parts()
        if parts == ():
            self.fault("must not be an empty list")
            return None
        return parts

    def keys(self, required: tuple[str, ...], optional: tuple[str, ...]) -> "dict[str, Field]":
        """Return the fields of a mapping that has these keys and no other."""
        if not isinstance(self.node, Table):
            self.fault("must be a mapping")
            return {}
        known = _both(required, optional)
        found: dict[str, Field] = {}
        lines: dict[str, int] = {}
        meant: set[str] = set()  # keys that were misspelt: one fault is enough
        for key, node in self.node.entries:
            if not isinstance(key, Scalar):
                self.fault("a key must be a word")
            elif key.text not in known:
                meant.add(self._unknown(key, known))
            elif key.text in found:
                first = f"first given in line {lines[key.text]}"
                place = self.under(key.text, key)
                place.fault(f"duplicate key {quoted(key.text)}; {first}")
            else:
                found[key.text], lines[key.text] = self.under(key.text, node), key.line
        for name in required:
            if name not in found and name not in meant:
                self.fault(f"missing key {quoted(name)}")
        return found

    def _unknown(self, key: Scalar, known: tuple[str, ...]) -> str:
        """Report a key that nobody knows, and return the one that was probably meant."""
        is_plain = _PLAIN_KEY.fullmatch(key.text) and not may_be_private(key.text)
        place = self.under(key.text, key) if is_plain else self
        guess = close_to(key.text, known)
        what = f"unknown key {quoted(key.text)}{hint(guess, ', '.join(known))}"
        self._fault_at(key.line, place.path, what)
        return guess or ""

    def flag(self) -> bool | None:
        """Return true or false."""
        if isinstance(self.node, Scalar) and self.node.kind is Kind.FLAG:
            return self.node.is_true
        self.fault("must be true or false")
        return None

    def word(self, what: str, allowed: Collection[str]) -> str | None:
        """Return one of the allowed words."""
        if (text := self._scalar("one of " + ", ".join(allowed))) is None:
            return None
        if text in allowed:
            return text
        guess = close_to(text, allowed)
        self.fault(f"unknown {what} {quoted(text)}{hint(guess, ', '.join(allowed))}")
        return None

    def text(self) -> str | None:
        """Return text that may be anything, also nothing; it is never quoted in a fault."""
        if not isinstance(self.node, Scalar):
            self.fault("must be text")
        elif self.node.kind is Kind.NOTHING:
            self.fault("must be text; leave the key out where there is nothing to say")
        elif self.node.kind is not Kind.TEXT:
            self.fault(f"must be text; YAML reads this as {self.node.kind}: quote it")
        else:
            return self.node.text
        return None

    def line_of_text(self) -> str | None:
        """Return text of one line, not empty and without control characters."""
        text = self.text()
        if text is not None and (reason := _why_no_line(text)):
            self.fault(reason)
            return None
        return text

    def identity(self) -> str | None:
        """Return an id: one line of text, not a number, without spaces around it."""
        text = self._scalar("text")
        if text is None:
            return None
        assert isinstance(self.node, Scalar)
        reason = _why_no_line(text)
        if self.node.kind is not Kind.TEXT and not reason:
            reason = f"YAML reads {quoted(text)} as {self.node.kind}; quote it, an id is text"
        if not reason and text != text.strip():
            reason = "must not begin or end with a space"
        if reason:
            self.fault(reason)
            return None
        return text

    def _scalar(self, expected: str) -> str | None:
        if not isinstance(self.node, Scalar):
            self.fault(f"must be {expected}")
            return None
        return self.node.text


@lru_cache
def _both(required: tuple[str, ...], optional: tuple[str, ...]) -> tuple[str, ...]:
    return (*required, *optional)


def _why_no_line(text: str) -> str | None:
    if not text.strip():
        return "must not be empty"
    if len(text) > LONGEST_TEXT:
        return f"must not be longer than {LONGEST_TEXT} characters"
    if not text.isprintable() and any(
        unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in text
    ):
        return "must not hold control characters or line breaks"
    return None


def may_be_private(text: str) -> bool:
    """Say whether an address or an IBAN may stand in the text."""
    return _PRIVATE.search(text) is not None


def quoted(word: str) -> str:
    """Return a wrong word in quotes on one line, unless it may be an address or an IBAN."""
    if may_be_private(word):
        return NOT_SHOWN
    cut = word if len(word) <= _SHOWN else word[:_SHOWN] + "…"
    return json.dumps(cut, ensure_ascii=not cut.isprintable())


def close_to(word: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed word that was probably meant."""
    by_folded = {name.casefold(): name for name in allowed}
    guesses = difflib.get_close_matches(word.casefold(), by_folded, 1, 0.7)
    return by_folded[guesses[0]] if guesses else None


def hint(guess: str | None, allowed: str) -> str:
    """Return what follows a wrong word: what was probably meant, and what is allowed."""
    return f"; did you mean {guess}? Allowed: {allowed}" if guess else f"; allowed: {allowed}"
