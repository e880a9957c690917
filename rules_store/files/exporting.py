"""Rules to a rules file, in the form that is read: reading it again changes nothing."""

from collections.abc import Iterable

from rules_store.changes import rule_as_meant
from rules_store.files.yaml import write_yaml
from schemas.bank_accounts import BankAccount
from schemas.rules import (
    AllAccounts,
    ChosenAccounts,
    ExternalRecipient,
    OnStatusUpdated,
    Rule,
    Tenant,
    TenantRules,
    User,
)
from schemas.vocabulary import TICKABLE, SubjectFact

Plain = dict[str, object]


def as_rules_file(tenants: Iterable[TenantRules]) -> str:
    """Return the tenants, sorted by id like all they hold, as a rules file."""
    return write_yaml(plain_rules_file(tenants))


def plain_rules_file(tenants: Iterable[TenantRules]) -> Plain:
    """Return the tenants, sorted by id like all they hold, as the plain values of a file."""
    ordered = sorted(tenants, key=lambda tenant_rules: tenant_rules.tenant.tenant_id)
    return {"version": 1, "tenants": [plain_tenant(found) for found in ordered]}


def as_yaml(plain: Plain) -> str:
    """Return a part of a rules file."""
    return write_yaml(plain)


def plain_tenant(tenant_rules: TenantRules) -> Plain:
    """Return a tenant with all it has as the plain values of a rules file."""
    users = sorted(tenant_rules.users.values(), key=lambda user: user.user_id)
    accounts = sorted(tenant_rules.bank_accounts.values(), key=lambda found: found.account_id)
    rules = sorted(tenant_rules.rules, key=lambda rule: rule.rule_id)
    return plain_head(tenant_rules.tenant) | {
        "users": [plain_user(user) for user in users],
        "bank_accounts": [plain_account(found) for found in accounts],
        "rules": [plain_rule(rule) for rule in rules],
    }


def plain_head(tenant: Tenant) -> Plain:
    """Return the tenant itself as the plain values of a rules file."""
    return {
        "id": tenant.tenant_id,
        "name": tenant.name,
        "language": tenant.language.value,
        "time_zone": tenant.time_zone,
    }


def plain_user(user: User) -> Plain:
    """Return a user as the plain values of a rules file."""
    plain: Plain = {"id": user.user_id, "name": user.name}
    if user.email is not None:
        plain["email"] = user.email
    if user.language is not None:
        plain["language"] = user.language.value
    return plain | {"active": user.active}


def plain_account(account: BankAccount) -> Plain:
    """Return a bank account as the plain values of a rules file."""
    plain: Plain = {"id": account.account_id}
    if account.iban is not None:
        plain["iban"] = account.iban.text
    if account.description is not None:
        plain["description"] = account.description
    return plain


def plain_rule(stored: Rule) -> Plain:
    """Return a rule as the plain values of a rules file."""
    rule = rule_as_meant(stored)
    plain: Plain = {
        "id": rule.rule_id,
        "description": rule.description,
        "event": rule.trigger.event_type.value,
        **_plain_trigger(rule),
        "detail": {
            "internal": rule.detail_internal.value,
            "external": rule.detail_external.value,
        },
    }
    if rule.subject_may_show:
        shown = [fact.value for fact in SubjectFact if fact in rule.subject_may_show]
        plain["subject_may_show"] = shown
    plain |= {"enabled": rule.enabled, "subject": rule.subject}
    if rule.internal_recipients:
        plain["internal_recipients"] = [str(user_id) for user_id in rule.internal_recipients]
    if rule.external_recipients:
        plain["external_recipients"] = list(map(_plain_external, rule.external_recipients))
    return plain


def _plain_trigger(rule: Rule) -> Plain:
    trigger = rule.trigger
    if not isinstance(trigger, OnStatusUpdated):
        return {}
    return {
        "statuses": [status.value for status in TICKABLE if status in trigger.ticked],
        "bank_accounts": _plain_accounts(trigger.accounts),
    }


def _plain_accounts(accounts: AllAccounts | ChosenAccounts) -> object:
    if isinstance(accounts, AllAccounts):
        return "all"
    return sorted(map(str, accounts.account_ids))


def _plain_external(external: ExternalRecipient) -> Plain:
    plain: Plain = {"email": external.address}
    if external.language is not None:
        plain["language"] = external.language.value
    return plain
