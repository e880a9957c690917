"""Header lines of a mail, encoded by RFC 2047 without the standard library's mail writer.

That writer decodes encoded words on its way, and older ones then wrote what came out as header
lines of their own (CVE-2024-6923, CVE-2026-1299). Here text is opaque: what is not plain goes out
as base64, and text that could end a line is refused by its type.
"""

import re
from binascii import b2a_base64
from dataclasses import dataclass

from schemas.errors import InvalidValue

LONGEST_LINE = 78  #: characters without CRLF (RFC 5322 2.1.1)

#: C0, C1 and DEL, line and paragraph separators, signs that turn the reading direction, surrogates.
_REFUSED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")

_LONGEST_ENCODED_LINE = 76  # characters (RFC 2047 2)
_WORD_FRAME = len("=?utf-8?B??=")


@dataclass(frozen=True, slots=True, repr=False)
class HeaderText:
    """Text that can stand in a header: no line ends, no controls, no turned reading direction."""

    text: str

    def __post_init__(self) -> None:
        if _REFUSED.search(self.text):
            raise InvalidValue("header text holds control characters")


def line(name: str, value: str) -> str:
    """Return a header line of a value that is ASCII and checked already; CRLF is left to join."""
    return f"{name}: {value}"


def text_line(name: str, text: HeaderText) -> str:
    """Return a header of free text, folded; each line within the limit of its RFC."""
    if _is_plain(_PLAIN, text) and len(name) + 2 + len(text.text) <= LONGEST_LINE:
        return line(name, text.text)
    return line(name, encoded_words(text.text, len(name) + 2)).rstrip(" ")


def mailbox_line(name: str, display_name: HeaderText | None, address: str) -> str:
    """Return a header of one mailbox; the address is a checked addr-spec."""
    if display_name is None:
        return line(name, address)
    phrase = display_name.text
    if not _is_plain(_PLAIN_PHRASE, display_name) or len(name) + 2 + len(phrase) > LONGEST_LINE:
        phrase = encoded_words(phrase, len(name) + 2)
    return folded(line(name, phrase), f"<{address}>")


def folded(*parts: str) -> str:
    """Join parts by blanks, on a line of its own each part that would make its line too long."""
    text, room = parts[0], LONGEST_LINE - len(parts[0].rpartition("\n")[2])
    for part in parts[1:]:
        fits = len(part) < room
        text += f" {part}" if fits else f"\r\n {part}"
        room = (room if fits else LONGEST_LINE) - len(part) - 1
    return text


def encoded_words(text: str, taken: int) -> str:
    """Return the text as B-words of RFC 2047, folded; `taken` characters precede it on its line.

    A character is never cut in two: each word can be decoded by itself.
    """
    words, current, room = [], b"", _room(taken)
    for character in text:
        raw = character.encode()
        if len(current) + len(raw) > room:
            words.append(current)
            current, room = b"", _room(1)
        current += raw
    if current:
        words.append(current)
    return "\r\n ".join(f"=?utf-8?B?{base64_text(word)}?=" for word in words)


def base64_text(raw: bytes) -> str:
    """Return bytes as base64 without line ends."""
    return b2a_base64(raw, newline=False).decode("ascii")


def _is_plain(shape: re.Pattern[str], text: HeaderText) -> bool:
    return "=?" not in text.text and shape.fullmatch(text.text) is not None


def _room(taken: int) -> int:
    """Return how many bytes fit into a word on a line: four signs of base64 carry three."""
    return (_LONGEST_ENCODED_LINE - taken - _WORD_FRAME) // 4 * 3
