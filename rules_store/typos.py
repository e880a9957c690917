"""Mail domains that look like another one, mistyped: a stranger would get sensitive mails."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from rules_store.addresses import identity_of
from schemas.rules import User

#: Where many people have their mailbox, in the countries whose banks the platform serves.
WELL_KNOWN = frozenset(
    (
        *("gmail.com", "googlemail.com", "hotmail.com", "hotmail.de", "outlook.com", "outlook.de"),
        *("gmx.at", "gmx.ch", "gmx.de", "gmx.net", "web.de", "t-online.de", "freenet.de"),
        *("icloud.com", "me.com", "yahoo.com", "yahoo.de", "aol.com", "arcor.de", "bluewin.ch"),
        *("mail.de", "mailbox.org", "posteo.de", "proton.me", "protonmail.com"),
    )
)


@dataclass(frozen=True, slots=True)
class TypoHints:
    """Tells which domain was probably meant: a well-known one, or one of the tenant's users."""

    own: frozenset[str]  #: the domains of the tenant's users

    @classmethod
    def for_users(cls, users: Iterable[User]) -> Self:
        """Return the hints for a tenant with these users."""
        own = (identity_of(user.email).rpartition("@")[2] for user in users if user.email)
        return cls(frozenset(filter(None, own)))

    def meant_by(self, domain: str) -> str | None:
        """Return a known domain that is one slip away, None where the domain is known itself.

        Two known domains may be one slip apart, and then both are right.
        """
        if domain in self.own or domain in WELL_KNOWN:
            return None
        return _closest(domain, self.own) or _well_known(domain)


@lru_cache(maxsize=65536)
def _well_known(domain: str) -> str | None:
    return _closest(domain, WELL_KNOWN)


def _closest(domain: str, known: Iterable[str]) -> str | None:
    return min((one for one in known if is_one_slip(domain, one)), default=None)


def is_one_slip(typed: str, meant: str) -> bool:
    """Say whether a word becomes another by one sign added, left out, changed, or moved by one."""
    if abs(len(typed) - len(meant)) > 1 or typed == meant:
        return False
    start = next(
        (at for at, (one, other) in enumerate(zip(typed, meant, strict=False)) if one != other),
        min(len(typed), len(meant)),
    )
    rest, other = typed[start:], meant[start:]
    if len(rest) == len(other):
        is_moved = rest[:2] == other[:2][::-1] and rest[2:] == other[2:]
        return rest[1:] == other[1:] or is_moved
    return rest[1:] == other or rest == other[1:]
