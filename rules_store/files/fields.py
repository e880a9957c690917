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


@dataclass(frozen=True, slots=True)
class Field:
    """A node with its place: which file, and the path of keys that leads to it."""

    file: str
    path: str
    node: Node
    report: Report

    def fault(self, what: str) -> None:
        """Report what is wrong here."""
        self.report.faults.append((self.file, self.node.line, f"{self.path or 'file'}: {what}"))

    def note(self, what: str) -> None:
        """Report what is worth a word, but no fault."""
        self.report.notes.append((self.file, self.node.line, f"{self.path}: note: {what}"))

    def under(self, key: str, node: Node) -> "Field":
        """Return the field of a key."""
        return Field(self.file, f"{self.path}.{key}" if self.path else key, node, self.report)

    def instead(self, text: str) -> "Field":
        """Return this place with another text, a part of what stands there."""
        return Field(self.file, self.path, Scalar(self.node.line, text), self.report)

    def entries(self) -> "tuple[tuple[str, Field], ...]":
        """Return the fields of a mapping by key, whatever the keys; no faults."""
        entries = self.node.entries if isinstance(self.node, Table) else ()
        return tuple(
            (key.text, self.under(key.text, node))
            for key, node in entries
            if isinstance(key, Scalar)
        )

    def parts(self) -> "tuple[Field, ...] | None":
        """Return the fields of a list."""
        if not isinstance(self.node, Listing):
            self.fault("must be a list")
            return None
        return tuple(
            Field(self.file, f"{self.path}[{at}]", part, self.report)
            for at, part in enumerate(self.node.parts)
        )

    def some_parts(self) -> "tuple[Field, ...] | None":
        """Return the fields of a list that must not be empty."""
        parts = self.parts()
        if parts == ():
            self.fault("must not be an empty list")
            return None
        return parts

    def keys(self, required: Collection[str], optional: Collection[str]) -> "dict[str, Field]":
        """Return the fields of a mapping that has these keys and no other."""
        if not isinstance(self.node, Table):
            self.fault("must be a mapping")
            return {}
        found: dict[str, Field] = {}
        lines: dict[str, int] = {}
        missing = set(required)
        for key, node in self.node.entries:
            if (name := self._key(key, (*required, *optional), missing)) is None:
                continue
            if name in found:
                Field(self.file, f"{self.path}.{name}".lstrip("."), key, self.report).fault(
                    f"duplicate key {quoted(name)}; first given in line {lines[name]}"
                )
                continue
            found[name], lines[name] = self.under(name, node), key.line
        for name in required:
            if name in missing and name not in found:
                self.fault(f"missing key {quoted(name)}")
        return found

    def _key(self, key: Node, known: Collection[str], missing: set[str]) -> str | None:
        if not isinstance(key, Scalar):
            self.fault("a key must be a word")
            return None
        if key.text in known:
            return key.text
        is_plain = _PLAIN_KEY.fullmatch(key.text) and not may_be_private(key.text)
        place = self.under(key.text, key) if is_plain else self
        guess = close_to(key.text, known)
        missing.discard(guess or "")  # misspelt, not missing: one fault is enough
        Field(self.file, place.path, key, self.report).fault(
            f"unknown key {quoted(key.text)}{hint(guess, ', '.join(known))}"
        )
        return None

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


def _why_no_line(text: str) -> str | None:
    if not text.strip():
        return "must not be empty"
    if len(text) > LONGEST_TEXT:
        return f"must not be longer than {LONGEST_TEXT} characters"
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in text):
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
