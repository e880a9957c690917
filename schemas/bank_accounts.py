"""IBANs, checked and shown masked, and the bank accounts that carry them."""

import re
from dataclasses import dataclass
from typing import Self

from schemas.errors import InvalidValue
from schemas.vocabulary import AccountId

_SHAPE = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


@dataclass(frozen=True, slots=True, repr=False)
class Iban:
    """An IBAN (ISO 13616). Two spellings are one value; it shows itself only masked."""

    text: str

    def __post_init__(self) -> None:
        if not _SHAPE.fullmatch(self.text) or _remainder(self.text) != 1:
            raise InvalidValue("not an IBAN")  # which one, no error and no log may say

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an IBAN as people write it: spaces and case are spelling, not identity."""
        return cls("".join(text.split()).upper())

    @property
    def masked(self) -> str:
        """Return country code and last four signs in groups, as a mail shows it (email.md 7)."""
        return masked(self.text)

    def __repr__(self) -> str:
        return f"{self.text[:2]}…{self.text[-4:]}"


def masked(text: str) -> str:
    """Return what looks like an IBAN, without blanks, as `Iban.masked` shows one."""
    hidden = text[:2] + "*" * (len(text) - 6) + text[-4:]
    return " ".join(hidden[at : at + 4] for at in range(0, len(hidden), 4))


def _remainder(text: str) -> int:
    """Return the check sum of ISO 7064 MOD 97-10: 1 for every IBAN."""
    return int("".join(str(int(sign, 36)) for sign in text[4:] + text[:4])) % 97


@dataclass(frozen=True, slots=True)
class BankAccount:
    """A bank account of a tenant. The id identifies it; two accounts may have one IBAN."""

    account_id: AccountId
    iban: Iban | None = None
    description: str | None = None
