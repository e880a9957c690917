"""Text from outside, made harmless before it is shown: one line, masked, without bait, cut.

Banks, uploaders and tenants write it, so nothing about it is trusted (R31; email.md, sections 3
and 7). What programs would turn into a link becomes "[…]", what looks like an IBAN or the number
of a card shows its last four signs only. Escaping is the templates' part.
"""

import re
import string
from functools import lru_cache
from typing import NamedTuple

from schemas.bank_accounts import masked
from schemas.subjects import one_line

GAP = "[…]"

#: Signs that are looked at for each that is shown: a hostile text may be a megabyte long.
_HASTE = 4

# A dot, or what browsers take for one (UTS 46, section 4, step 1).
_DOT = "[.\u3002\uff0e\uff61]"
_BAIT = re.compile(  # within a word, so no part of it is a blank
    rf"://|\\\\|www{_DOT}|(?:mailto|tel|file|javascript|data):|@\w|"
    rf"[^\W_]{_DOT}(?:xn--\w|[^\W\d_]{{2}})",
    re.IGNORECASE,
)
#: One line already, and without anything that a link has: most ids and file names.
_PLAIN = re.compile(r"[A-Za-z0-9_+-]+(?: [A-Za-z0-9_+-]+)*")
_SHORTEST_NUMBER = 13  # signs of a card's; IBANs have more
#: Most texts hold none of these and are harmless as they are.
_SUSPECT = re.compile(r"[\d:@\\.\u3002\uff0e\uff61]")

# Two letters and two digits, then groups of four as people write them. The strict one is that of
# email.md, section 7: what it finds is masked even where the check digits do not fit.
_IBAN = re.compile(r"[A-Za-z]{2}\d{2}(?: ?\w{4}){2,7}(?: ?\w{1,3}\b)?")
_STRICT_IBAN = re.compile(r"[A-Z]{2}\d{2}(?: ?\w{4}){3,}(?: ?\d{1,3}\b)?")
_SHORTEST_IBAN, _HEAD = 15, 4  # signs; the head is country and check digits (ISO 13616)
_VALUES = {sign: int(sign, 36) for sign in string.digits + string.ascii_letters}
_CARD = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")

#: Endings of file names that no program takes for the end of a host's name.
_ENDINGS = frozenset(
    {
        *("asc", "cct", "cdd", "csv", "dat", "dta", "dtazv", "gz", "json", "p7m", "pain"),
        *("pdf", "pgp", "sepa", "txt", "xls", "xlsx", "xml", "zip"),
    }
)


class Harmless(NamedTuple):
    """Foreign text that may be shown, and what was done to it that the reader should know."""

    text: str
    is_cut: bool = False
    has_gap: bool = False


def harmless(text: str, most: int) -> Harmless:
    """Return free text as one line of at most so many characters."""
    if len(text) <= most and _is_plain(text) and not _CARD.search(text):
        return Harmless(text)
    line, has_gap = one_line(text[: most * _HASTE]), False
    if _SUSPECT.search(line):
        line, has_gap = _without_bait(_without_cards(_without_ibans(line)))
    return _cut(line, most, has_gap=has_gap, is_cut=len(text) > most * _HASTE)


def harmless_id(text: str, most: int) -> Harmless:
    """Return an id as one line; it is masked only where it is an IBAN by its check digits."""
    if len(text) <= most and _is_plain(text):
        return Harmless(text)
    line, has_gap = one_line(text[: most * _HASTE]), False
    if _SUSPECT.search(line):
        line, has_gap = _without_bait(_without_checked_ibans(line))
    return _cut(line, most, has_gap=has_gap, is_cut=len(text) > most * _HASTE)


def harmless_file_name(text: str, most: int) -> Harmless:
    """Return a file's name; its ending is no bait where it is one that files have."""
    stem, dot, ending = text.rpartition(".")
    if not dot or ending.lower() not in _ENDINGS:
        return harmless(text, most)
    name = harmless(stem, most)
    if name.is_cut or len(name.text) + 1 + len(ending) > most:
        return harmless(stem, most - 1 - len(ending))
    return Harmless(f"{name.text}.{ending}", name.is_cut, name.has_gap)


@lru_cache(maxsize=4096)  # a tenant's name is asked for in each of its mails
def short(text: str, most: int) -> str:
    """Return a name that the platform's tenants have, as one line that shows by … if it was cut.

    A tenant may be called like its web site, so bait is left in; numbers are masked all the same.
    """
    return _cut(_without_ibans(one_line(text[: most * _HASTE])), most).text


def _is_plain(text: str) -> bool:
    """Say whether a text holds no IBAN and nothing that a link has, and is one line as it is."""
    return _PLAIN.fullmatch(text) is not None and (
        len(text) < _SHORTEST_NUMBER or _IBAN.search(text) is None
    )


def _cut(line: str, most: int, *, has_gap: bool = False, is_cut: bool = False) -> Harmless:
    if len(line) > most:
        return Harmless(line[: most - 1].rstrip() + "…", True, has_gap)
    return Harmless(line + "…" if is_cut and len(line) < most else line, is_cut, has_gap)


def _without_bait(line: str) -> tuple[str, bool]:
    if _BAIT.search(line) is None:
        return line, False
    words = line.split(" ")
    safe = [GAP if _BAIT.search(word) else word for word in words]
    return " ".join(safe), safe != words


def _without_ibans(line: str) -> str:
    """Mask what looks like an IBAN, mistyped or not; what stands behind it stays readable."""
    if _IBAN.search(line) is None:
        return line
    guessed = _STRICT_IBAN.sub(_masked_guess, _without_checked_ibans(line))
    return _STRICT_IBAN.sub(GAP, guessed)  # what arose only where a mask ends


def _masked_guess(found: re.Match[str]) -> str:
    return masked(found[0].replace(" ", ""))


def _without_checked_ibans(line: str) -> str:
    """Mask each IBAN whose check digits fit, however it is grouped."""
    shown, at = "", 0
    while (found := _IBAN.search(line, at)) is not None:
        iban, signs = _checked_start(found[0])
        end = found.start() + (signs or 1)
        shown += line[at : found.start()] + (iban or line[found.start() : end])
        at = end
        if iban and line[at : at + 1].strip():
            shown += " "
    return shown + line[at:]


def _checked_start(text: str) -> tuple[str, int]:
    """Return the longest start of a text that is an IBAN, masked, and its length; or nothing.

    The check sum of ISO 7064 is carried along sign by sign: a hostile text is full of candidates.
    """
    head, rest, signs, end = 0, 0, 0, 0
    for at, sign in enumerate(text):
        value = _VALUES.get(sign)
        if value is None:
            if sign == " ":
                continue
            break
        signs += 1
        if signs <= _HEAD:
            head = head * (100 if value > 9 else 10) + value
            continue
        rest = (rest * (100 if value > 9 else 10) + value) % 97
        if signs >= _SHORTEST_IBAN and (rest * 10**6 + head) % 97 == 1:  # the head: six digits
            end = at + 1
    return (masked(text[:end].replace(" ", "").upper()), end) if end else ("", 0)


def _without_cards(line: str) -> str:
    return _CARD.sub(_masked_card, line)


def _masked_card(found: re.Match[str]) -> str:
    digits = [int(sign) for sign in found[0] if sign.isdecimal()]
    doubled = [d if at % 2 == 0 else d * 2 - 9 * (d > 4) for at, d in enumerate(digits[::-1])]
    if sum(doubled) % 10:  # ISO/IEC 7812-1, annex B
        return found[0]
    return f"**** {''.join(map(str, digits[-4:]))}"
