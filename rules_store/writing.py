"""Changes to rows: the statements that make the stored tenants the wanted ones.

Rows go in whole tables at a time, so the number of statements does not grow with that of rules.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    select,
    text,
    update,
)

from rules_store import tables
from rules_store.addresses import identity_of, split_addresses
from rules_store.changes import Change, ChangeKind, Thing
from schemas.bank_accounts import BankAccount
from schemas.rules import AllAccounts, ChosenAccounts, OnStatusUpdated, Rule, TenantRules, User
from schemas.vocabulary import SubjectFact, TenantId

Columns = dict[str, object]
Key = tuple[Thing, TenantId, str]
Verified = Mapping[tuple[str, str, str], datetime]  # tenant, rule, address identity → when

#: Held by whoever applies rules or migrates tables in PostgreSQL: "push" in ASCII.
ADVISORY_LOCK = 0x70757368

_TABLES: Mapping[Thing, Table] = {
    Thing.TENANT: tables.tenants,
    Thing.USER: tables.users,
    Thing.BANK_ACCOUNT: tables.bank_accounts,
    Thing.RULE: tables.rules,
}
_PARTS = (
    tables.rule_statuses,
    tables.rule_accounts,
    tables.internal_recipients,
    tables.external_recipients,
)


def await_other_writers(connection: Connection) -> None:
    """Wait until no other command of ours writes; SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})


def write(
    connection: Connection, changes: Sequence[Change], tenants: Sequence[TenantRules]
) -> None:
    """Carry out the changes; `tenants` hold what is created or changed.

    Deletions come first, so a description that they free can be given again at once.
    """
    kinds = {(change.thing, change.tenant_id, change.thing_id): change.kind for change in changes}
    for thing in (Thing.RULE, Thing.USER, Thing.BANK_ACCOUNT):
        _delete(connection, _TABLES[thing], _deleted(changes, thing))
    rows: defaultdict[tuple[ChangeKind, Thing], list[Columns]] = defaultdict(list)
    for key, row in _wanted_rows(tenants):
        if key in kinds:
            rows[kinds[key], key[0]].append(row)
    _free_descriptions(connection, rows[ChangeKind.CHANGED, Thing.RULE])
    for thing, table in _TABLES.items():
        _update(connection, table, rows[ChangeKind.CHANGED, thing])
        _insert(connection, table, rows[ChangeKind.CREATED, thing])
    _write_parts(connection, kinds, tenants)


def _wanted_rows(tenants: Sequence[TenantRules]) -> Iterator[tuple[Key, Columns]]:
    for wanted in tenants:
        tenant_id = wanted.tenant.tenant_id
        yield (Thing.TENANT, tenant_id, ""), _tenant_row(wanted)
        for user in wanted.users.values():
            yield (Thing.USER, tenant_id, user.user_id), _user_row(tenant_id, user)
        for account in wanted.bank_accounts.values():
            key = (Thing.BANK_ACCOUNT, tenant_id, account.account_id)
            yield key, _account_row(tenant_id, account)
        for rule in wanted.rules:
            yield (Thing.RULE, tenant_id, rule.rule_id), _rule_row(rule)


def _tenant_row(wanted: TenantRules) -> Columns:
    tenant = wanted.tenant
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "language": tenant.language.value,
        "time_zone": tenant.time_zone,
    }


def _user_row(tenant_id: TenantId, user: User) -> Columns:
    return {
        "tenant_id": tenant_id,
        "user_id": user.user_id,
        "name": user.name,
        "email": user.email,
        "language": user.language and user.language.value,
        "active": user.active,
    }


def _account_row(tenant_id: TenantId, account: BankAccount) -> Columns:
    return {
        "tenant_id": tenant_id,
        "account_id": account.account_id,
        "iban": account.iban and account.iban.text,
        "description": account.description,
    }


def _rule_row(rule: Rule) -> Columns:
    trigger = rule.trigger
    accounts = trigger.accounts if isinstance(trigger, OnStatusUpdated) else None
    return {
        "tenant_id": rule.tenant_id,
        "rule_id": rule.rule_id,
        "description": rule.description,
        "event_type": trigger.event_type.value,
        "all_accounts": isinstance(accounts, AllAccounts),
        "subject": rule.subject,
        "subject_may_show_amount": SubjectFact.AMOUNT in rule.subject_may_show,
        "subject_may_show_reference": SubjectFact.REFERENCE in rule.subject_may_show,
        "detail_internal": rule.detail_internal.value,
        "detail_external": rule.detail_external.value,
        "enabled": rule.enabled,
    }


def _deleted(changes: Sequence[Change], thing: Thing) -> list[Columns]:
    id_column = _TABLES[thing].primary_key.columns.keys()[-1]
    return [
        {"tenant_id": change.tenant_id, id_column: change.thing_id}
        for change in changes
        if change.thing is thing and change.kind is ChangeKind.DELETED
    ]


def _delete(connection: Connection, table: Table, keys: list[Columns]) -> None:
    """Delete all rows of a table whose columns are those of a key."""
    if keys:
        same = [table.c[name] == bindparam(f"key_{name}") for name in keys[0]]
        connection.execute(delete(table).where(and_(*same)), [_as_key(key) for key in keys])


def _update(connection: Connection, table: Table, rows: list[Columns]) -> None:
    if rows:
        key = table.primary_key.columns.keys()
        same = [table.c[name] == bindparam(f"key_{name}") for name in key]
        values: dict[str, ColumnElement[object]] = {
            name: bindparam(name) for name in rows[0] if name not in key
        }
        keyed = [row | _as_key({name: row[name] for name in key}) for row in rows]
        connection.execute(update(table).where(and_(*same)).values(values), keyed)


def _insert(connection: Connection, table: Table, rows: list[Columns]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _as_key(key: Columns) -> Columns:
    return {f"key_{name}": value for name, value in key.items()}


def _free_descriptions(connection: Connection, rows: list[Columns]) -> None:
    """Take away the descriptions of changed rules for a moment, so that two can be exchanged."""
    _update(
        connection,
        tables.rules,
        [
            {
                "tenant_id": row["tenant_id"],
                "rule_id": row["rule_id"],
                "description": f"\u0001{row['rule_id']}",  # no file and no form can give it
            }
            for row in rows
        ],
    )


def _write_parts(
    connection: Connection, kinds: Mapping[Key, ChangeKind], tenants: Sequence[TenantRules]
) -> None:
    """Write statuses, accounts and recipients of every rule that is created or changed."""
    written = {
        (rule.tenant_id, rule.rule_id): rule
        for wanted in tenants
        for rule in wanted.rules
        if (Thing.RULE, rule.tenant_id, rule.rule_id) in kinds
    }
    changed: list[Columns] = [
        {"tenant_id": tenant_id, "rule_id": rule_id}
        for tenant_id, rule_id in written
        if kinds[Thing.RULE, tenant_id, rule_id] is ChangeKind.CHANGED
    ]
    verified = _verified(connection, changed)
    for table in _PARTS:
        _delete(connection, table, changed)
    for table in _PARTS:
        parts = [part for rule in written.values() for part in _parts(table, rule, verified)]
        _insert(connection, table, parts)


def _parts(table: Table, rule: Rule, verified: Verified) -> Iterator[Columns]:
    key: Columns = {"tenant_id": rule.tenant_id, "rule_id": rule.rule_id}
    trigger = rule.trigger
    if table is tables.rule_statuses and isinstance(trigger, OnStatusUpdated):
        yield from (key | {"status": status.value} for status in sorted(trigger.ticked))
    elif table is tables.rule_accounts and isinstance(trigger, OnStatusUpdated):
        if isinstance(trigger.accounts, ChosenAccounts):
            ids = sorted(trigger.accounts.account_ids)
            yield from (key | {"account_id": account_id} for account_id in ids)
    elif table is tables.internal_recipients:
        for at, user_id in enumerate(rule.internal_recipients):
            yield key | {"user_id": user_id, "position": at}
    elif table is tables.external_recipients:
        for at, external in enumerate(rule.external_recipients):
            identity = (rule.tenant_id, rule.rule_id, identity_of(external.address))
            yield key | {
                "address": external.address,
                "position": at,
                "language": external.language and external.language.value,
                "verified_at": external.verified_at or verified.get(identity),
            }


def _verified(connection: Connection, rules: list[Columns]) -> Verified:
    """Return when external addresses were verified: a rules file does not say it, so it is kept."""
    table = tables.external_recipients
    query = select(table.c.tenant_id, table.c.rule_id, table.c.address, table.c.verified_at)
    changed = {(rule["tenant_id"], rule["rule_id"]) for rule in rules}
    verified: dict[tuple[str, str, str], datetime] = {}
    if changed:
        found = connection.execute(query.where(table.c.verified_at.is_not(None)))
        for tenant_id, rule_id, addresses, at in found:
            if (tenant_id, rule_id) in changed and at is not None:
                for address in split_addresses(addresses):
                    verified[tenant_id, rule_id, identity_of(address)] = at
    return verified
