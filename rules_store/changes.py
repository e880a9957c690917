"""What must happen to a tenant's stored rules so that they become the wanted ones: data, no act."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from rules_store.addresses import identity_of, split_addresses
from schemas.rules import ExternalRecipient, Rule, Tenant, TenantRules, User
from schemas.vocabulary import DetailLevel, RuleId, TenantId


class ChangeKind(StrEnum):
    """What happens to a stored thing."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


class Thing(StrEnum):
    """What the store holds."""

    TENANT = "tenant"
    USER = "user"
    BANK_ACCOUNT = "bank account"
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing created, changed or deleted. `description` is a rule's; no one else's is said."""

    kind: ChangeKind
    thing: Thing
    tenant_id: TenantId
    thing_id: str = ""  #: within the tenant; empty for the tenant itself
    description: str = ""


def changes_of_tenant(
    stored: TenantRules | None, wanted: TenantRules, rejected: frozenset[RuleId] = frozenset()
) -> tuple[Change, ...]:
    """Return what makes the stored tenant the wanted one; empty if they mean the same.

    `rejected` are stored rules that nobody can read: each is changed or deleted, never kept.
    """
    tenant_id = wanted.tenant.tenant_id
    return (
        *_tenant_changes(stored, wanted.tenant),
        *_changes(Thing.USER, tenant_id, _users(stored), _users(wanted)),
        *_changes(Thing.BANK_ACCOUNT, tenant_id, _accounts(stored), _accounts(wanted)),
        *_changes(Thing.RULE, tenant_id, dict.fromkeys(rejected) | _rules(stored), _rules(wanted)),
    )


def _tenant_changes(stored: TenantRules | None, wanted: Tenant) -> Iterator[Change]:
    if stored is None:
        yield Change(ChangeKind.CREATED, Thing.TENANT, wanted.tenant_id)
    elif stored.tenant != wanted:
        yield Change(ChangeKind.CHANGED, Thing.TENANT, wanted.tenant_id)


def _changes(
    thing: Thing, tenant_id: TenantId, stored: Mapping[str, object], wanted: Mapping[str, object]
) -> Iterator[Change]:
    for thing_id in sorted(stored.keys() | wanted.keys()):
        if thing_id not in wanted:
            kind = ChangeKind.DELETED
        elif thing_id not in stored:
            kind = ChangeKind.CREATED
        elif stored[thing_id] != wanted[thing_id]:
            kind = ChangeKind.CHANGED
        else:
            continue
        rule = wanted.get(thing_id, stored.get(thing_id))
        description = rule.description if isinstance(rule, Rule) else ""
        yield Change(kind, thing, tenant_id, thing_id, description)


def _users(tenant_rules: TenantRules | None) -> dict[str, object]:
    if tenant_rules is None:
        return {}
    return {user_id: _user_as_meant(user) for user_id, user in tenant_rules.users.items()}


def _accounts(tenant_rules: TenantRules | None) -> dict[str, object]:
    return {} if tenant_rules is None else dict(tenant_rules.bank_accounts.items())


def _rules(tenant_rules: TenantRules | None) -> dict[str, object]:
    if tenant_rules is None:
        return {}
    return {rule.rule_id: rule_as_meant(rule) for rule in tenant_rules.rules}


def _user_as_meant(user: User) -> User:
    return replace(user, email=None if user.email is None else identity_of(user.email))


def rule_as_meant(rule: Rule) -> Rule:
    """Return the rule as a rules file spells it, so that two spellings of one wish compare equal.

    External lists are split and folded by address identity, what only the platform knows of them
    (when they were verified) is taken off, `full` is lowered (R24, R23, R30).
    """
    external = rule.detail_external
    return replace(
        rule,
        detail_external=DetailLevel.STANDARD if external is DetailLevel.FULL else external,
        internal_recipients=tuple(dict.fromkeys(rule.internal_recipients)),
        external_recipients=_externals_as_meant(rule),
    )


def _externals_as_meant(rule: Rule) -> tuple[ExternalRecipient, ...]:
    folded: dict[str, ExternalRecipient] = {}
    for stored in rule.external_recipients:
        for text in split_addresses(stored.address):
            identity = identity_of(text)
            recipient = ExternalRecipient(address=identity, language=stored.language)
            folded.setdefault(identity, recipient)
    return tuple(folded.values())
