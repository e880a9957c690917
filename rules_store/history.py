"""What the history tells: who changed what and when, and the rules as they once were.

Everything here reads on an open connection, so that several answers belong to one instant.
"""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from sqlalchemy import (
    Connection,
    Select,
    Table,
    and_,
    false,
    func,
    literal,
    select,
    true,
    union,
    union_all,
)

from rules_store import tables
from rules_store.changes import Change, ChangeKind, Thing
from rules_store.history_tables import HISTORY, generations
from rules_store.ports import Version
from rules_store.rows import Row, StoredRows
from schemas.errors import InvalidInput
from schemas.vocabulary import Generation, TenantId


def changed_tenants(connection: Connection, since: Generation) -> frozenset[TenantId]:
    """Return the tenants with any change after a generation; what it costs grows with those alone.

    A tenant that was deleted meanwhile is among them.
    """
    later = select(generations.c.change_set).where(generations.c.generation > since)
    each = (
        select(kept.c.tenant_id).where(kept.c.change_set.in_(later)) for kept in HISTORY.values()
    )
    return frozenset(map(TenantId, connection.scalars(union(*each))))


def rows_as_of(connection: Connection, tenant_id: TenantId, generation: Generation) -> StoredRows:
    """Return a tenant's rows as they were at a generation.

    Raise `InvalidInput` where it is older than the history, or not there yet.
    """
    _check_known(connection, generation)

    def rows(table: Table, *order: str) -> list[Row]:
        query = _newest_versions(table, tenant_id, generation, order)
        return [tuple(row) for row in connection.execute(query)]

    return StoredRows(
        tenants=rows(tables.tenants),
        users=rows(tables.users),
        bank_accounts=rows(tables.bank_accounts),
        rules=rows(tables.rules),
        statuses=rows(tables.rule_statuses),
        accounts=rows(tables.rule_accounts),
        internal_recipients=rows(tables.internal_recipients, "position", "user_id"),
        external_recipients=rows(tables.external_recipients, "position", "address"),
    )


def _check_known(connection: Connection, generation: Generation) -> None:
    span = select(func.min(generations.c.generation), func.max(generations.c.generation))
    first, last = connection.execute(span).one()
    if generation < first:
        fault = f"generation {generation}: the history begins at {first}"
    elif generation > last:
        fault = f"generation {generation}: the newest is {last}"
    else:
        return
    raise InvalidInput([fault])


def _newest_versions(
    table: Table, tenant_id: TenantId, generation: Generation, order: tuple[str, ...]
) -> Select[Row]:
    kept = HISTORY[table]
    age = func.row_number().over(
        partition_by=[kept.c[column.name] for column in table.primary_key.columns],
        order_by=(generations.c.generation.desc(), kept.c.entry.desc()),
    )
    aged = (
        select(kept, age.label("age"))
        .join(generations, generations.c.change_set == kept.c.change_set)
        .where(kept.c.tenant_id == tenant_id, generations.c.generation <= generation)
        .subquery()
    )
    return (
        select(*(aged.c[column.name] for column in table.columns))
        .where(and_(aged.c.age == 1, aged.c.is_deleted == false()))
        .order_by(*(aged.c[name] for name in order))
    )


def versions(connection: Connection, tenant_id: TenantId, since: Generation) -> tuple[Version, ...]:
    """Return what of a tenant was created, changed and deleted after a generation, oldest first.

    One version for each thing and generation; a rule changes with its statuses, accounts and
    recipients. What the history found in place when it began counts as created then.
    """
    entries = connection.execute(_entries(tenant_id)).all()
    known: dict[_Named, str] = {}  # what there is, and a rule's description
    found: list[Version] = []
    for (generation, at, by, user), rows in groupby(entries, key=itemgetter(0, 1, 2, 3)):
        for kind, (thing, thing_id), description in _changes(known, list(rows)):
            if generation > since:
                change = Change(kind, thing, tenant_id, thing_id, description)
                found.append(Version(Generation(generation), at, by, user, change))
    return tuple(found)


_Named = tuple[Thing, str]


def _changes(known: dict[_Named, str], rows: list[Row]) -> Iterator[tuple[ChangeKind, _Named, str]]:
    """Yield the sum of what one generation did to each thing, and bring `known` up to it."""
    before: dict[_Named, str | None] = {}
    for *_, thing, thing_id, is_part, is_deleted, description in rows:
        named = (Thing(str(thing)), str(thing_id))
        before.setdefault(named, known.get(named))
        if is_deleted and not is_part:
            known.pop(named, None)
        elif not is_part:
            known[named] = str(description)
    for named, was in before.items():
        now = known.get(named)
        if was is None and now is not None:
            yield ChangeKind.CREATED, named, now
        elif was is not None and now is None:
            yield ChangeKind.DELETED, named, was
        elif now is not None:
            yield ChangeKind.CHANGED, named, now


_ID_COLUMNS = {
    tables.tenants: (Thing.TENANT, None),
    tables.users: (Thing.USER, "user_id"),
    tables.bank_accounts: (Thing.BANK_ACCOUNT, "account_id"),
}


def _entries(tenant_id: TenantId) -> Select[Row]:
    """Ask for all entries of a tenant in their order, each with the generation it belongs to."""
    each = []
    for table, kept in HISTORY.items():
        thing, id_column = _ID_COLUMNS.get(table, (Thing.RULE, "rule_id"))
        is_rule = table is tables.rules
        is_part = thing is Thing.RULE and not is_rule
        each.append(
            select(
                generations.c.generation,
                generations.c.changed_at,
                generations.c.changed_by,
                generations.c.database_user,
                kept.c.entry,
                literal(thing.value).label("thing"),
                (kept.c[id_column] if id_column else literal("")).label("thing_id"),
                (true() if is_part else false()).label("is_part"),
                kept.c.is_deleted,
                (func.coalesce(kept.c.description, "") if is_rule else literal("")).label("said"),
            )
            .join(generations, generations.c.change_set == kept.c.change_set)
            .where(kept.c.tenant_id == tenant_id)
        )
    entries = union_all(*each).subquery()
    return select(entries).order_by(entries.c.generation, entries.c.entry)
