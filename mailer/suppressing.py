"""Whom no more mails go to: what a suppression says, and what keeps the list.

An address is kept as its keyed hash only. A suppression is one tenant's: what happened to an
address there says nothing to another tenant, whose rule ids may be the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from schemas.vocabulary import MailId, RuleId, TenantId


class Reason(StrEnum):
    """Why no more mails go to an address."""

    DEAD_ADDRESS = "dead_address"  #: the mail server said at once that nobody is there
    BOUNCED = "bounced"  #: a mail server further on said so later
    UNSUBSCRIBED = "unsubscribed"  #: the reader does not want the mails of a rule
    COMPLAINED = "complained"  #: the reader called a mail unwanted
    OPERATOR = "operator"  #: somebody typed it


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """An address that a tenant's mails no longer go to; without a rule, whatever the rule."""

    tenant_id: TenantId
    address_hash: str
    rule_id: RuleId | None = None
    reason: Reason
    until: datetime | None = None  #: None: for good
    mail_id: MailId | None = None  #: the mail that showed it
    since: datetime | None = None  #: filled in by the list


class Suppressions(Protocol):
    """The list. Each method raises `LedgerUnavailable` when the answer is not known."""

    def add(self, suppressions: Sequence[Suppression]) -> int:
        """Put them on the list and return how many were not there; durable on return.

        Of two for the same address and rule the one that lasts longer stays.
        """

    def remove(self, tenant_id: TenantId, address_hash: str, rule_id: RuleId | None) -> bool:
        """Take one off the list; False: it was not there."""

    def of_tenant(self, tenant_id: TenantId) -> Sequence[Suppression]:
        """Return a tenant's suppressions that hold, the newest first."""
