"""Rules as a tenant means them, and a rule with all its mails need, as a snapshot hands it out.

"All accounts" is a value of its own, so a rule whose last account is deleted falls silent instead
of mailing about every account (R8).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.addresses import EmailAddress
from schemas.bank_accounts import BankAccount
from schemas.vocabulary import (
    AccountId,
    Audience,
    DetailLevel,
    EventType,
    Generation,
    Language,
    LeftOut,
    PaymentStatus,
    RuleId,
    SubjectFact,
    TenantId,
    UserId,
)

DEFAULT_TIME_ZONE = "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class AllAccounts:
    """Every bank account of the tenant, also those added later."""


@dataclass(frozen=True, slots=True)
class ChosenAccounts:
    """These bank accounts and no other; none chosen means none."""

    account_ids: frozenset[AccountId]


@dataclass(frozen=True, slots=True)
class OnFileRejected:
    """Wants every file that the platform refuses (R6)."""

    @property
    def event_type(self) -> EventType:
        """Return the one event type it waits for."""
        return EventType.PAYMENT_FILE_REJECTED


@dataclass(frozen=True, slots=True)
class OnStatusUpdated:
    """Wants a file that takes a ticked status and touches an account of the choice (R7)."""

    ticked: frozenset[PaymentStatus]
    accounts: AllAccounts | ChosenAccounts

    @property
    def event_type(self) -> EventType:
        """Return the one event type it waits for."""
        return EventType.PAYMENT_STATUS_UPDATED


Trigger = OnFileRejected | OnStatusUpdated


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Who owns users, bank accounts and rules."""

    tenant_id: TenantId
    name: str
    language: Language = Language.DE
    time_zone: str = DEFAULT_TIME_ZONE  #: an IANA zone name


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user of a tenant. `email` is what the admin service stored: it may be missing or wrong."""

    user_id: UserId
    name: str
    email: str | None = field(default=None, repr=False)
    language: Language | None = None
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalRecipient:
    """A free address in a rule, as stored; checked again when rules are compiled (R24)."""

    address: str = field(repr=False)
    language: Language | None = None
    verified_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A tenant's wish: when so, mail these."""

    tenant_id: TenantId
    rule_id: RuleId
    description: str
    trigger: Trigger
    subject: str = ""  #: as typed; empty means the default subject
    subject_may_show: frozenset[SubjectFact] = frozenset()
    detail_internal: DetailLevel = DetailLevel.STANDARD
    detail_external: DetailLevel = DetailLevel.MINIMAL
    enabled: bool = True
    internal_recipients: tuple[UserId, ...] = ()
    external_recipients: tuple[ExternalRecipient, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRules:
    """Everything the store holds of one tenant; rules sorted by id."""

    tenant: Tenant
    users: Mapping[UserId, User] = field(default_factory=dict)
    bank_accounts: Mapping[AccountId, BankAccount] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class RulesAt:
    """All rules of all tenants, and the generation they form together; tenants sorted by id."""

    generation: Generation
    tenants: tuple[TenantRules, ...]


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who gets a mail."""

    address: EmailAddress
    audience: Audience
    language: Language


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRule:
    """A rule that wants an event, with what its mails need: what a snapshot hands out.

    `left_out` pairs each recipient who gets nothing with the reason: a user's id, or "external"
    and the place in the rule's list, never an address.
    """

    tenant: Tenant
    rule: Rule
    recipients: tuple[Recipient, ...]
    left_out: tuple[tuple[str, LeftOut], ...] = ()
