"""Changes to rows: the statements that make the stored tenants the wanted ones.

Rows go in whole tables at a time, so the number of statements does not grow with that of rules;
PostgreSQL gets them by COPY, so that its triggers see a table's rows at once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from rules_store import tables
from rules_store.addresses import identity_of, split_addresses
from rules_store.changes import Change, ChangeKind, Thing
from schemas.bank_accounts import BankAccount
from schemas.rules import AllAccounts, ChosenAccounts, OnStatusUpdated, Rule, TenantRules, User
from schemas.vocabulary import RuleId, SubjectFact, TenantId

Row = tuple[object, ...]  # in the order of the table's columns
Columns = dict[str, object]
Key = tuple[Thing, TenantId, str]
Verified = Mapping[tuple[str, str, str], datetime]  # tenant, rule, address identity → when

SpeltInstant = Callable[[datetime | None], object]

#: Held by whoever applies rules or migrates tables in PostgreSQL: "push" in ASCII.
ADVISORY_LOCK = 0x70757368

_TABLES: Mapping[Thing, Table] = {
    Thing.TENANT: tables.tenants,
    Thing.USER: tables.users,
    Thing.BANK_ACCOUNT: tables.bank_accounts,
    Thing.RULE: tables.rules,
}


def await_other_writers(connection: Connection) -> None:
    """Wait until no other command of ours writes; SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})


def write(
    connection: Connection,
    changes: Sequence[Change],
    tenants: Sequence[TenantRules],
    stored: Mapping[TenantId, TenantRules],
) -> None:
    """Carry out the changes; `tenants` hold what is created or changed, `stored` what there is.

    Deletions come first, so a description that they free can be given again at once. Of a changed
    rule only the rows that differ are written: the history keeps every row that is.
    """
    kinds = {(change.thing, change.tenant_id, change.thing_id): change.kind for change in changes}
    for thing in (Thing.RULE, Thing.USER, Thing.BANK_ACCOUNT):
        _delete(connection, _TABLES[thing], _deleted(changes, thing))
    rows: defaultdict[tuple[ChangeKind, Thing], list[Row]] = defaultdict(list)
    for key, row in _wanted_rows(kinds, tenants):
        rows[kinds[key], key[0]].append(row)
    before = {
        (rule.tenant_id, rule.rule_id): rule
        for held in stored.values()
        for rule in held.rules
        if (Thing.RULE, rule.tenant_id, rule.rule_id) in kinds
    }
    _update_rules(connection, rows.pop((ChangeKind.CHANGED, Thing.RULE), []), before)
    for thing, table in _TABLES.items():
        _update(connection, table, rows[ChangeKind.CHANGED, thing])
        _insert(connection, table, rows[ChangeKind.CREATED, thing])
    _write_parts(connection, kinds, tenants, before)


def _update_rules(
    connection: Connection, rows: list[Row], before: Mapping[tuple[TenantId, RuleId], Rule]
) -> None:
    """Write the rows of changed rules that differ.

    Descriptions that change are taken away for a moment, so that two can be exchanged.
    """
    was = {key: _rule_row(rule) for key, rule in before.items()}
    differing = [row for row in rows if was.get(_key_of(row)) != row]
    renamed = [row for row in differing if _description(was.get(_key_of(row))) != row[2]]
    _free_descriptions(connection, renamed)
    _update(connection, tables.rules, differing)


def _key_of(row: Row) -> tuple[TenantId, RuleId]:
    return TenantId(str(row[0])), RuleId(str(row[1]))


def _description(row: Row | None) -> object:
    return row and row[2]


def _wanted_rows(
    kinds: Mapping[Key, ChangeKind], tenants: Sequence[TenantRules]
) -> Iterator[tuple[Key, Row]]:
    for wanted in tenants:
        tenant_id = wanted.tenant.tenant_id
        if (key := (Thing.TENANT, tenant_id, "")) in kinds:
            yield key, _tenant_row(wanted)
        for user in wanted.users.values():
            if (key := (Thing.USER, tenant_id, user.user_id)) in kinds:
                yield key, _user_row(tenant_id, user)
        for account in wanted.bank_accounts.values():
            if (key := (Thing.BANK_ACCOUNT, tenant_id, account.account_id)) in kinds:
                yield key, _account_row(tenant_id, account)
        for rule in wanted.rules:
            if (key := (Thing.RULE, tenant_id, rule.rule_id)) in kinds:
                yield key, _rule_row(rule)


def _tenant_row(wanted: TenantRules) -> Row:
    tenant = wanted.tenant
    return (tenant.tenant_id, tenant.name, tenant.language.value, tenant.time_zone)


def _user_row(tenant_id: TenantId, user: User) -> Row:
    language = user.language and user.language.value
    return (tenant_id, user.user_id, user.name, user.email, language, user.active)


def _account_row(tenant_id: TenantId, account: BankAccount) -> Row:
    iban = account.iban and account.iban.text
    return (tenant_id, account.account_id, iban, account.description)


def _rule_row(rule: Rule) -> Row:
    trigger = rule.trigger
    accounts = trigger.accounts if isinstance(trigger, OnStatusUpdated) else None
    return (
        rule.tenant_id,
        rule.rule_id,
        rule.description,
        trigger.event_type.value,
        isinstance(accounts, AllAccounts),
        rule.subject,
        SubjectFact.AMOUNT in rule.subject_may_show,
        SubjectFact.REFERENCE in rule.subject_may_show,
        rule.detail_internal.value,
        rule.detail_external.value,
        rule.enabled,
    )


def _deleted(changes: Sequence[Change], thing: Thing) -> list[Row]:
    return [
        (change.tenant_id, change.thing_id)
        for change in changes
        if change.thing is thing and change.kind is ChangeKind.DELETED
    ]


def _delete(connection: Connection, table: Table, keys: list[Row]) -> None:
    """Delete the rows that have these keys, or keys that begin so."""
    if keys:
        names = table.primary_key.columns.keys()[: len(keys[0])]
        same = [table.c[name] == bindparam(f"key_{name}") for name in names]
        connection.execute(delete(table).where(and_(*same)), [_as_key(names, key) for key in keys])


def _update(connection: Connection, table: Table, rows: list[Row]) -> None:
    if rows:
        columns, key = table.c.keys(), table.primary_key.columns.keys()
        same = [table.c[name] == bindparam(f"key_{name}") for name in key]
        values: dict[str, ColumnElement[object]] = {
            name: bindparam(name) for name in columns if name not in key
        }
        keyed = [dict(zip(columns, row, strict=True)) | _as_key(key, row) for row in rows]
        connection.execute(update(table).where(and_(*same)).values(values), keyed)


def _as_key(names: Sequence[str], row: Row) -> Columns:
    return {f"key_{name}": value for name, value in zip(names, row, strict=False)}


def _insert(connection: Connection, table: Table, rows: list[Row]) -> None:
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        _copy(connection, table, rows)
        return
    columns = ", ".join(table.c.keys())
    places = ", ".join("?" for _ in table.c)
    statement = f"INSERT INTO {table.name} ({columns}) VALUES ({places})"  # noqa: S608  # our names
    connection.exec_driver_sql(statement, rows)


def _copy(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Give PostgreSQL the rows in one statement; SQLAlchemy knows none for it."""
    statement = f"COPY {table.name} ({', '.join(table.c.keys())}) FROM STDIN"
    cursor: Any = connection.connection.cursor()  # psycopg's own
    try:
        with cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(statement, None, error) from error


def _free_descriptions(connection: Connection, rows: list[Row]) -> None:
    """Give rules descriptions that no file and no form can give."""
    if rows:
        rules = tables.rules
        key = rules.primary_key.columns.keys()
        same = [rules.c[name] == bindparam(f"key_{name}") for name in key]
        free = update(rules).where(and_(*same)).values(description=bindparam("free"))
        keyed = [_as_key(key, row) | {"free": f"\u0001{row[1]}"} for row in rows]
        connection.execute(free, keyed)


def _write_parts(
    connection: Connection,
    kinds: Mapping[Key, ChangeKind],
    tenants: Sequence[TenantRules],
    before: Mapping[tuple[TenantId, RuleId], Rule],
) -> None:
    """Write those statuses, accounts and recipients of written rules that differ."""
    written: list[Rule] = []
    changed: set[tuple[TenantId, RuleId]] = set()
    for wanted in tenants:
        for rule in wanted.rules:
            kind = kinds.get((Thing.RULE, rule.tenant_id, rule.rule_id))
            if kind is not None:
                written.append(rule)
            if kind is ChangeKind.CHANGED:
                changed.add((rule.tenant_id, rule.rule_id))
    verified = _verified(connection, tuple(changed))
    spelt = _instant_speller(connection)
    parts: Mapping[Table, Callable[[Rule], Iterator[Row]]] = {
        tables.rule_statuses: _status_rows,
        tables.rule_accounts: _account_rows,
        tables.internal_recipients: _internal_rows,
        tables.external_recipients: lambda rule: _external_rows(rule, verified, spelt),
    }
    for table, rows_of in parts.items():
        gone: list[Row] = []
        come: list[Row] = []
        for rule in written:
            key = (rule.tenant_id, rule.rule_id)
            rows, was = tuple(rows_of(rule)), before.get(key)
            if was is not None and rows == tuple(rows_of(was)):
                continue
            if key in changed:
                gone.append(key)
            come += rows
        _delete(connection, table, gone)
        _insert(connection, table, come)


def _status_rows(rule: Rule) -> Iterator[Row]:
    trigger = rule.trigger
    if isinstance(trigger, OnStatusUpdated):
        for status in sorted(trigger.ticked):
            yield rule.tenant_id, rule.rule_id, status.value


def _account_rows(rule: Rule) -> Iterator[Row]:
    trigger = rule.trigger
    if isinstance(trigger, OnStatusUpdated) and isinstance(trigger.accounts, ChosenAccounts):
        for account_id in sorted(trigger.accounts.account_ids):
            yield rule.tenant_id, rule.rule_id, account_id


def _internal_rows(rule: Rule) -> Iterator[Row]:
    for at, user_id in enumerate(rule.internal_recipients):
        yield rule.tenant_id, rule.rule_id, user_id, at


def _external_rows(rule: Rule, verified: Verified, spelt: SpeltInstant) -> Iterator[Row]:
    for at, external in enumerate(rule.external_recipients):
        language = external.language and external.language.value
        verified_at = external.verified_at
        if verified_at is None and verified:
            identity = identity_of(external.address)
            verified_at = verified.get((rule.tenant_id, rule.rule_id, identity))
        yield rule.tenant_id, rule.rule_id, external.address, at, language, spelt(verified_at)


def _instant_speller(connection: Connection) -> SpeltInstant:
    """Return how an instant is written where SQLAlchemy does not see the row."""
    kind, dialect = tables.Instant(), connection.dialect
    return lambda instant: kind.process_bind_param(instant, dialect)


def _verified(connection: Connection, rules: Sequence[Row]) -> Verified:
    """Return when external addresses were verified: a rules file does not say it, so it is kept."""
    changed = set(rules)
    if not changed:
        return {}
    table = tables.external_recipients
    query = select(table.c.tenant_id, table.c.rule_id, table.c.address, table.c.verified_at)
    tenant_ids = sorted({str(tenant_id) for tenant_id, _ in rules})
    ours = table.c.tenant_id.in_(tenant_ids), table.c.verified_at.is_not(None)
    verified: dict[tuple[str, str, str], datetime] = {}
    for tenant_id, rule_id, addresses, at in connection.execute(query.where(*ours)):
        if (tenant_id, rule_id) in changed and at is not None:
            for address in split_addresses(addresses):
                verified[tenant_id, rule_id, identity_of(address)] = at
    return verified
