"""Rows to rules and back: plain tuples, no database.

Any client may write the tables, and SQLite stores what it is given, so nothing about a row is
taken for granted: a rule that cannot be meant disables itself (R5), a status nobody knows wants
nothing (R12), a language nobody knows is none (R25).
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from rules_store.ports import LoadedRules, RejectedRule
from schemas.bank_accounts import BankAccount, Iban
from schemas.errors import InvalidValue
from schemas.rules import (
    AllAccounts,
    ChosenAccounts,
    ExternalRecipient,
    OnFileRejected,
    OnStatusUpdated,
    Rule,
    RulesAt,
    Tenant,
    TenantRules,
    Trigger,
    User,
)
from schemas.vocabulary import (
    AccountId,
    DetailLevel,
    EventType,
    Generation,
    Language,
    PaymentStatus,
    RuleId,
    SubjectFact,
    TenantId,
    UserId,
)

logger = logging.getLogger(__name__)

Row = tuple[object, ...]
Word = TypeVar("Word", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRows:
    """The rows of each table, columns in the order of `rules_store.tables`, sorted by position."""

    tenants: Sequence[Row] = ()
    users: Iterable[Row] = ()
    bank_accounts: Iterable[Row] = ()
    rules: Sequence[Row] = ()
    statuses: Iterable[Row] = ()
    accounts: Iterable[Row] = ()
    internal_recipients: Iterable[Row] = ()
    external_recipients: Iterable[Row] = ()


@dataclass(slots=True)
class _RuleParts:
    statuses: list[object] = field(default_factory=list)
    accounts: list[object] = field(default_factory=list)
    internal: list[object] = field(default_factory=list)
    external: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class _TenantParts:
    users: dict[UserId, User] = field(default_factory=dict)
    bank_accounts: dict[AccountId, BankAccount] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)


def read_rows(generation: Generation, stored: StoredRows) -> LoadedRules:
    """Build the rules of all tenants; log each rule that cannot be meant, without its values."""
    tenants: defaultdict[object, _TenantParts] = defaultdict(_TenantParts)
    for row in stored.users:
        user = _read_user(row)
        tenants[row[0]].users[user.user_id] = user
    for row in stored.bank_accounts:
        account = _read_account(row)
        tenants[row[0]].bank_accounts[account.account_id] = account
    parts = _rule_parts(stored)
    rejected = []
    for row in stored.rules:
        try:
            rule = _read_rule(row, parts.get(row[:2]) or _RuleParts())
        except InvalidValue as error:
            rejected.append(_reject(row, str(error)))
        else:
            tenants[rule.tenant_id].rules.append(rule)
    found = sorted(map(_read_tenant, stored.tenants), key=lambda tenant: tenant.tenant_id)
    by_tenant = tuple(_tenant_rules(tenant, tenants[tenant.tenant_id]) for tenant in found)
    return LoadedRules(RulesAt(generation, by_tenant), tuple(rejected))


def _tenant_rules(tenant: Tenant, parts: _TenantParts) -> TenantRules:
    return TenantRules(
        tenant=tenant,
        users=parts.users,
        bank_accounts=parts.bank_accounts,
        rules=tuple(sorted(parts.rules, key=lambda rule: rule.rule_id)),
    )


def _rule_parts(stored: StoredRows) -> dict[Row, _RuleParts]:
    parts: defaultdict[Row, _RuleParts] = defaultdict(_RuleParts)
    for tenant_id, rule_id, status in stored.statuses:
        parts[tenant_id, rule_id].statuses.append(status)
    for tenant_id, rule_id, account_id in stored.accounts:
        parts[tenant_id, rule_id].accounts.append(account_id)
    for tenant_id, rule_id, user_id, _ in stored.internal_recipients:
        parts[tenant_id, rule_id].internal.append(user_id)
    for tenant_id, rule_id, *external in stored.external_recipients:
        parts[tenant_id, rule_id].external.append(tuple(external))
    return parts


def _reject(row: Row, reason: str) -> RejectedRule:
    rejected = RejectedRule(TenantId(str(row[0])), RuleId(str(row[1])), reason)
    logger.warning(
        "rule_rejected",
        extra={
            "tenant_id": rejected.tenant_id,
            "rule_id": rejected.rule_id,
            "reason": rejected.reason,
        },
    )
    return rejected


def _read_tenant(row: Row) -> Tenant:
    tenant_id, name, language, time_zone = row
    return Tenant(
        tenant_id=TenantId(str(tenant_id)),
        name=str(name),
        language=_known(Language, language) or Language.DE,
        time_zone=str(time_zone),
    )


def _read_user(row: Row) -> User:
    _, user_id, name, email, language, active = row
    return User(
        user_id=UserId(str(user_id)),
        name=str(name),
        email=None if email is None else str(email),
        language=_known(Language, language),
        active=bool(active),
    )


def _read_account(row: Row) -> BankAccount:
    _, account_id, iban, description = row
    return BankAccount(
        AccountId(str(account_id)), _iban(iban), None if description is None else str(description)
    )


def _iban(text: object) -> Iban | None:
    """Return the IBAN, or none where it cannot be meant: the mail then shows none."""
    try:
        return None if text is None else Iban.parse(str(text))
    except InvalidValue:
        return None


def _read_rule(row: Row, parts: _RuleParts) -> Rule:
    (
        tenant_id,
        rule_id,
        description,
        event_type,
        all_accounts,
        subject,
        show_amount,
        show_reference,
        detail_internal,
        detail_external,
        enabled,
    ) = row
    shown = {SubjectFact.AMOUNT: show_amount, SubjectFact.REFERENCE: show_reference}
    return Rule(
        tenant_id=TenantId(_text("tenant_id", tenant_id)),
        rule_id=RuleId(_text("rule_id", rule_id)),
        description=_text("description", description),
        trigger=_trigger(_word(EventType, "event_type", event_type), all_accounts, parts),
        subject=_text("subject", subject),
        subject_may_show=frozenset(fact for fact, is_shown in shown.items() if is_shown),
        detail_internal=_word(DetailLevel, "detail_internal", detail_internal),
        detail_external=_lowered(_word(DetailLevel, "detail_external", detail_external)),
        enabled=bool(enabled),
        internal_recipients=tuple(UserId(str(user_id)) for user_id in parts.internal),
        external_recipients=tuple(map(_read_external, parts.external)),
    )


def _trigger(event_type: EventType, all_accounts: object, parts: _RuleParts) -> Trigger:
    if event_type is EventType.PAYMENT_FILE_REJECTED:
        return OnFileRejected()  # statuses and accounts on such a rule are ignored (R6)
    ticked = (_known(PaymentStatus, status) for status in parts.statuses)
    chosen = frozenset(AccountId(str(account_id)) for account_id in parts.accounts)
    return OnStatusUpdated(
        frozenset(status for status in ticked if status is not None and status.tickable),
        AllAccounts() if all_accounts else ChosenAccounts(chosen),
    )


def _lowered(detail: DetailLevel) -> DetailLevel:
    """Lower `full`, which externals never get (R30)."""
    return DetailLevel.STANDARD if detail is DetailLevel.FULL else detail


def _read_external(row: Row) -> ExternalRecipient:
    address, _, language, verified_at = row
    return ExternalRecipient(
        address=str(address),
        language=_known(Language, language),
        verified_at=verified_at if isinstance(verified_at, datetime) else None,
    )


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValue(f"{name} is no text")
    return value


def _word(words: type[Word], name: str, value: object) -> Word:
    known = _known(words, value)
    if known is None:
        raise InvalidValue(f"{name} is none that this version knows")
    return known


def _known(words: type[Word], value: object) -> Word | None:
    try:
        return words(str(value))
    except ValueError:
        return None
