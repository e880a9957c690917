"""Masking what must not be seen in any text: mail addresses and IBANs.

Better one mask too many: an upper-case word in the shape of an IBAN is masked without asking its
check digits. In other spellings only a real IBAN is, or ids out of hex digits would be hidden.
"""

import re

from schemas.bank_accounts import Iban
from schemas.errors import InvalidValue

# An @ may stand in the local part: of `x@anna@muster.example` only the last one's right is shown.
_ADDRESS = re.compile(r"(?:\"[^\"\n]{1,64}\"|[^\s<>\"(),:;\[\]]){1,256}@([\w-]+(?:\.[\w-]+)*)")
_SHORTEST_IBAN = 15  # signs, Norway's (ISO 13616); both patterns ask for as many
_IBAN = re.compile(r"(?<![A-Z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}(?![A-Z0-9])")
_IBAN_IN_ANY_CASE = re.compile(r"(?<![\w])[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]){11,30}(?![\w])")


def redacted(text: str) -> str:
    """Return the text with …@domain for each mail address and DE…3000 for each IBAN."""
    if "@" in text:
        text = _ADDRESS.sub(r"…@\1", text)
    if len(text) < _SHORTEST_IBAN:  # as most fields of a line are
        return text
    return _IBAN_IN_ANY_CASE.sub(_real, _IBAN.sub(_masked, text))


def _masked(match: re.Match[str]) -> str:
    signs = match[0].replace(" ", "").replace("-", "")
    return f"{signs[:2]}…{signs[-4:]}"


def _real(match: re.Match[str]) -> str:
    words = match[0].split(" ")
    for end in range(len(words), 0, -1):  # what follows an IBAN may look like more of it
        try:
            masked = repr(Iban.parse("".join(words[:end])))
        except InvalidValue:
            continue
        return " ".join((masked, *words[end:]))
    return match[0]
