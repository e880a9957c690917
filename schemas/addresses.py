"""Mail addresses as a type: one plain ASCII addr-spec, its identity (R23), shown masked.

Whether an address is one that people can have is checked where rules are compiled; this type only
refuses what could break an envelope or a header (email.md, section 3).
"""

import re
from dataclasses import dataclass

from schemas.errors import InvalidValue

# RFC 5321 4.1.2 without quoted local parts and address literals.
# 254 octets: RFC 3696, erratum 1690.
_ADDR_SPEC = re.compile(
    r"(?=.{3,254}\Z)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
)


@dataclass(frozen=True, slots=True, repr=False)
class EmailAddress:
    """An addr-spec as its identity spells it: domain lower case and A-label, local part as is."""

    text: str

    def __post_init__(self) -> None:
        if not _ADDR_SPEC.fullmatch(self.text) or len(self.text.partition("@")[0]) > 64:
            raise InvalidValue("not a mail address")

    @property
    def domain(self) -> str:
        """Return the part behind the @."""
        return self.text.partition("@")[2]

    def __repr__(self) -> str:
        return f"…@{self.domain}"
