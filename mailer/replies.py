"""What the mail server said, as a value that is safe to keep and to log: bounded, no address in it.

Codes: RFC 5321 4.2. Details are the enhanced codes of RFC 3463, where the server sends them.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from schemas.addresses import EmailAddress
from schemas.subjects import one_line

LONGEST_REPLY = 300  #: characters of a reply's text that are kept

_DETAIL = re.compile(r"#?([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_ADDRESS = re.compile(r"""(?:"[^"]*"|[^\s<>()\[\],;:"']+)@[^\s<>()\[\],;:"']+""")
_HIDDEN = "[address]"


class Phase(StrEnum):
    """What was going on when the reply came, or when none came."""

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CONTENT = "content"  #: everything after DATA's 354

    @property
    def within_transaction(self) -> bool:
        """Say whether a reply here may be about the mail; before, it is about the connection."""
        return self in (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, or that none came. `text` is one line, at most 300 characters, addresses hidden."""

    code: int | None  #: None: no reply that could be understood
    detail: str | None  #: 5.1.1 and the like, where given
    text: str
    phase: Phase

    @classmethod
    def read(cls, code: int, raw: bytes, phase: Phase, recipient: EmailAddress | None) -> Self:
        """Take in a reply as it came over the wire, several lines joined by line feeds.

        A code outside of 200 to 599 is none: the other side does not speak SMTP.
        """
        text = raw.decode(errors="replace")
        detail = _DETAIL.match(text.lstrip())
        return cls(
            code if 200 <= code <= 599 else None,
            detail[1] if detail else None,
            _presentable(text, recipient),
            phase,
        )

    @classmethod
    def missing(cls, why: str, phase: Phase) -> Self:
        """Say that no reply came, and why: a word of our own, never foreign text."""
        return cls(None, None, why, phase)


def _presentable(text: str, recipient: EmailAddress | None) -> str:
    """Return one line without addresses, also where a server cites only the local part."""
    line = one_line(text)
    if "@" in line:
        line = _ADDRESS.sub(_HIDDEN, line)
    local = "" if recipient is None else recipient.text.partition("@")[0]
    if local and _may_hold(line, local):
        name = rf"(?<!\w){re.escape(local)}(?!\w)"
        line = re.sub(name, _HIDDEN, line, flags=re.IGNORECASE)
    return line[:LONGEST_REPLY]


def _may_hold(line: str, word: str) -> bool:
    """Say whether it is worth making a pattern of the word, which costs as much as a mail's MIME.

    Outside of ASCII other letters may count as the same.
    """
    return not line.isascii() or word.lower() in line.lower()
