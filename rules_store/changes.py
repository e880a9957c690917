"""What must happen to a tenant's stored rules so that they become the wanted ones: data, no act."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from rules_store.addresses import identity_of, split_addresses
from schemas.errors import InvalidInput
from schemas.rules import ExternalRecipient, Rule, Tenant, TenantRules, User
from schemas.subjects import one_line
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


class Extent(Enum):
    """What becomes of users, bank accounts and rules that the store has and nobody gave."""

    WHOLE = "whole"  #: they are deleted: what is given is all there is
    PART = "part"  #: they stay


@dataclass(frozen=True, slots=True)
class Change:
    """One thing created, changed or deleted. `description` is a rule's; no one else's is said."""

    kind: ChangeKind
    thing: Thing
    tenant_id: TenantId
    thing_id: str = ""  #: within the tenant; empty for the tenant itself
    description: str = ""


def with_the_rest(stored: TenantRules | None, given: TenantRules) -> TenantRules:
    """Return what is given with all that the store has beside it.

    Raise `InvalidInput` where two rules would then have one description.
    """
    if stored is None:
        return given
    ids = {rule.rule_id for rule in given.rules}
    rest = [rule for rule in stored.rules if rule.rule_id not in ids]
    by_description = {normal(rule.description): rule.rule_id for rule in rest}
    faults = [
        f'tenant "{rule.tenant_id}": rule "{rule.rule_id}" cannot have the description '
        f'"{one_line(rule.description)}": rule "{by_description[normal(rule.description)]}" has it'
        for rule in given.rules
        if normal(rule.description) in by_description
    ]
    if faults:
        raise InvalidInput(faults)
    return TenantRules(
        tenant=given.tenant,
        users={**stored.users, **given.users},
        bank_accounts={**stored.bank_accounts, **given.bank_accounts},
        rules=tuple(sorted((*rest, *given.rules), key=lambda rule: rule.rule_id)),
    )


#: How many things are compared and written at a time: more cost memory and win nothing.
CHUNK = 10_000


def in_chunks(tenants: Iterable[TenantRules]) -> Iterator[Sequence[TenantRules]]:
    """Return tenants some at a time; a tenant is never divided."""
    chunk: list[TenantRules] = []
    things = 0
    for tenant_rules in tenants:
        chunk.append(tenant_rules)
        things += 1 + len(tenant_rules.users) + len(tenant_rules.bank_accounts)
        things += len(tenant_rules.rules)
        if things >= CHUNK:
            yield tuple(chunk)
            chunk.clear()
            things = 0
    if chunk:
        yield tuple(chunk)


def normal(description: str) -> str:
    """Return a description as it is compared: two spellings of one text are one (NFC)."""
    return unicodedata.normalize("NFC", description)


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
