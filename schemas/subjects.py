"""A tenant's subject: text with placeholders from an allow-list (R33). Data, never a template.

It lies here and not in mailer because rules_store checks it when a rules file is applied.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from schemas.errors import InvalidValue
from schemas.vocabulary import SubjectFact

#: Words any subject may use, and those its rule must opt in to by `subject_may_show`.
FREE_WORDS = frozenset({"tenant", "event", "status", "rule", "date"})
OPT_IN_WORDS = frozenset(SubjectFact)
SUBJECT_WORDS = FREE_WORDS | OPT_IN_WORDS

LONGEST_SUBJECT = 200  #: characters, after placeholders are filled in (R33)

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_TEMPLATE_SIGNS = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject as typed, cut at its placeholders."""

    pieces: tuple[str, ...]  #: text, word, text, word, …, text

    @classmethod
    def parse(cls, text: str, may_show: frozenset[SubjectFact] = frozenset(SubjectFact)) -> Self:
        """Read a subject as the tenant typed it, or raise `InvalidValue` naming the wrong word.

        `may_show` are the facts that the rule opts in to.
        """
        pieces = _PLACEHOLDER.split(text)
        allowed = FREE_WORDS | may_show
        for word in pieces[1::2]:
            if word not in allowed:
                raise InvalidValue(_complaint(word, may_show))
        if any(_TEMPLATE_SIGNS.search(literal) for literal in pieces[0::2]):
            raise InvalidValue("only placeholders like {{ rule }} are possible")
        return cls(tuple(pieces))

    def fill_in(self, words: Mapping[str, str]) -> str:
        """Return one line of at most 200 characters without controls, so no header slips in."""
        text = "".join(words[p] if at % 2 else p for at, p in enumerate(self.pieces))
        return one_line(text)[:LONGEST_SUBJECT].rstrip()


def one_line(text: str) -> str:
    """Return the text with every control, format or separator sign as a space, spaces folded.

    Takes out what could start a header line, or turn the reading direction of what follows
    (email.md, section 3): Unicode categories Cc, Cf, Cs, Co, Cn, Zl, Zp.
    """
    if text.isprintable():  # none of these categories, and no separator but the plain blank
        return " ".join(text.split())
    return " ".join("".join(map(_harmless, text)).split())


def _harmless(sign: str) -> str:
    category = unicodedata.category(sign)
    return " " if category[0] == "C" or category in ("Zl", "Zp") else sign


def _complaint(word: str, may_show: frozenset[SubjectFact]) -> str:
    if word in OPT_IN_WORDS:
        return f'placeholder "{word}" needs "{word}" in subject_may_show'
    allowed = ", ".join(sorted(FREE_WORDS | may_show))
    return f'unknown placeholder "{word[:40]}"; allowed are {allowed}'
