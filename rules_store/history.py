"""What the history tells: who changed what and when, and the rules as they once were.

Everything here reads on an open connection, so that several answers belong to one instant.
"""

from collections.abc import Iterator
from functools import cache
from itertools import groupby
from operator import itemgetter

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    false,
    func,
    literal,
    select,
    text,
    true,
    union,
    union_all,
)

from rules_store import tables
from rules_store.changes import Change, ChangeKind, Thing
from rules_store.history_tables import HISTORY, generations
from rules_store.ports import Version
from rules_store.rows import Row, StoredRows
from schemas.errors import InvalidInput, SchemaOutdated
from schemas.vocabulary import Generation, TenantId


def changed_tenants(connection: Connection, since: Generation) -> frozenset[TenantId]:
    """Return the tenants with any change after a generation; what it costs grows with those alone.

    A tenant that was deleted meanwhile is among them.
    """
    if connection.dialect.name == "postgresql":
        # A migration or an import puts a million rows into one change set: the planner then takes
        # every one for as large and would read them all. The setting ends with the transaction.
        connection.execute(_BY_INDEX)
    found = connection.scalars(_changed(connection.dialect.name), {"since": since})
    return frozenset(map(TenantId, found))


_BY_INDEX = text("SET LOCAL enable_seqscan = off")


@cache
def _changed(dialect: str) -> CompoundSelect[str]:
    """Ask for the tenants changed `since`; made once, for a worker asks whenever rules change.

    SQLite numbers change sets like generations. PostgreSQL is made to look each one up in the
    index (OFFSET 0): before it has counted a table's rows it would rather read them all.
    """
    if dialect == "sqlite":
        since: BindParameter[int] = bindparam("since")
        return union(
            *(select(k.c.tenant_id).where(k.c.change_set > since) for k in HISTORY.values())
        )
    later = select(generations.c.change_set).where(generations.c.generation > bindparam("since"))
    changes = later.subquery()
    looked_up = [
        select(kept.c.tenant_id)
        .where(kept.c.change_set == changes.c.change_set)
        .offset(0)
        .lateral()
        for kept in HISTORY.values()
    ]
    return union(
        *(select(each.c.tenant_id).select_from(changes.join(each, true())) for each in looked_up)
    )


def rows_as_of(connection: Connection, tenant_id: TenantId, generation: Generation) -> StoredRows:
    """Return a tenant's rows as they were at a generation.

    Raise `InvalidInput` where it is older than the history, or not there yet.
    """
    _check_known(connection, generation)
    known = {"tenant_id": tenant_id, "generation": generation}

    def rows(table: Table, *order: str) -> list[Row]:
        return [tuple(row) for row in connection.execute(_newest_versions(table, order), known)]

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
    # one by one: SQLite would read the whole index for both at once
    first = connection.scalar(select(func.min(generations.c.generation)))
    last = connection.scalar(select(func.max(generations.c.generation)))
    if first is None or last is None:
        raise SchemaOutdated("the rules' history is missing")
    if generation < first:
        fault = f"generation {generation}: the history begins at {first}"
    elif generation > last:
        fault = f"generation {generation}: the newest is {last}"
    else:
        return
    raise InvalidInput([fault])


@cache
def _newest_versions(table: Table, order: tuple[str, ...]) -> Select[Row]:
    """Ask for the rows of a `tenant_id` as of a `generation`; made once, which takes longest."""
    kept = HISTORY[table]
    age = func.row_number().over(
        partition_by=[kept.c[column.name] for column in table.primary_key.columns],
        order_by=(generations.c.generation.desc(), kept.c.entry.desc()),
    )
    aged = (
        select(kept, age.label("age"))
        .join(generations, generations.c.change_set == kept.c.change_set)
        .where(
            kept.c.tenant_id == bindparam("tenant_id"),
            generations.c.generation <= bindparam("generation"),
        )
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
    entries = connection.execute(_entries(), {"tenant_id": tenant_id}).all()
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


@cache
def _entries() -> Select[Row]:
    """Ask for all entries of a `tenant_id` in their order, each with its generation."""
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
            .where(kept.c.tenant_id == bindparam("tenant_id"))
        )
    entries = union_all(*each).subquery()
    return select(entries).order_by(entries.c.generation, entries.c.entry)
