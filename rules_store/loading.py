"""Compiled rules out of SQLite or PostgreSQL, a slice of tenants at a time.

A slice's rows are grouped and packed at once, so that a load needs little more memory than what it
leaves behind. All slices of one answer are read in one transaction, which sees one instant.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import TypeAlias, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Table,
    bindparam,
    select,
)
from sqlalchemy.sql.compiler import SQLCompiler

from rules_store import tables
from rules_store.buckets import Buckets
from rules_store.collector import collector_off
from rules_store.entries import TenantEntry
from rules_store.history import changed_tenants
from rules_store.recipients import Verification
from rules_store.rows import Row, StoredRows
from rules_store.slices import compile_rows
from rules_store.snapshot import Snapshot
from rules_store.sources import Changes, Progress
from rules_store.sql import check_revision, generation_of, reading
from schemas.vocabulary import Generation, TenantId

#: Tenants that are read and packed at once: enough that statements cost little, few enough that
#: rows do not pile up and no other thread waits for long.
SLICE = 100

Entries: TypeAlias = Mapping[TenantId, TenantEntry]


@dataclass(frozen=True, slots=True)
class SqlRulesSource:
    """A `RulesSource` in SQLite or PostgreSQL."""

    engine: Engine
    verification: Verification = Verification.OFF

    def generation(self) -> Generation:
        """Return the generation of the last committed change."""
        with reading(self.engine) as connection:
            return generation_of(connection)

    def load(self, tell: Callable[[Progress], None]) -> Snapshot:
        """Return all rules, telling after each slice how far it is."""
        with collector_off(), reading(self.engine) as connection:
            check_revision(connection)
            generation = generation_of(connection)
            query = select(tables.tenants.c.tenant_id).order_by(tables.tenants.c.tenant_id)
            tenant_ids = list(connection.scalars(query))
            loaded: dict[TenantId, TenantEntry] = {}
            rules = 0
            for at in range(0, len(tenant_ids), SLICE):
                own = tenant_ids[at : at + SLICE]
                entries = self._entries(connection, Tenants.between(own[0], own[-1]))
                loaded.update(entries)
                rules += sum(entry.rules for entry in entries.values())
                tell(Progress(min(at + SLICE, len(tenant_ids)), len(tenant_ids), rules))
            rejected = sum(entry.rejected_rules for entry in loaded.values())
            return Snapshot(
                generation,
                Buckets(loaded.items()),
                rejected_rules=rejected,
                verification=self.verification,
            )

    def changes(self, since: Generation) -> Changes:
        """Return the entries of every tenant that was changed after a generation."""
        with reading(self.engine) as connection:
            check_revision(connection)
            return self._changes(connection, sorted(changed_tenants(connection, since)))

    def entries(self, tenant_ids: Sequence[TenantId]) -> Changes:
        """Return the entries of these tenants, whether they were changed or not."""
        with reading(self.engine) as connection:
            return self._changes(connection, tenant_ids)

    def tenants_after(self, tenant_id: TenantId | None, most: int) -> Sequence[TenantId]:
        """Return the next tenants in the database's own order."""
        column = tables.tenants.c.tenant_id
        query = select(column).order_by(column).limit(most)
        if tenant_id is not None:
            query = query.where(column > tenant_id)
        with reading(self.engine) as connection:
            return [TenantId(found) for found in connection.scalars(query)]

    def _changes(self, connection: Connection, tenant_ids: Sequence[TenantId]) -> Changes:
        changed: dict[TenantId, TenantEntry | None] = dict.fromkeys(tenant_ids)
        for at in range(0, len(tenant_ids), SLICE):
            changed |= self._entries(connection, Tenants.one_of(tenant_ids[at : at + SLICE]))
        return Changes(generation_of(connection), changed)

    def _entries(self, connection: Connection, tenants: "Tenants") -> Entries:
        return compile_rows(_rows(connection, tenants))


def _rows(connection: Connection, tenants: "Tenants") -> StoredRows:
    rows = partial(_fetched, connection, tenants)
    return StoredRows(
        tenants=rows(tables.tenants),
        users=rows(tables.users),
        rules=rows(tables.rules),
        statuses=rows(tables.rule_statuses),
        accounts=rows(tables.rule_accounts),
        internal_recipients=rows(tables.internal_recipients),
        external_recipients=list(map(_with_instant, rows(tables.external_recipients))),
    )


def _fetched(connection: Connection, tenants: "Tenants", table: Table) -> list[Row]:
    """Fetch the driver's own rows: SQLAlchemy's cost as much again as the driver's."""
    compiled = _compiled(connection.dialect, table, tenants.condition)
    given = compiled.construct_params(tenants.parameters)
    parameters = tuple([given[name] for name in compiled.positiontup or ()]) or given
    cursor = connection.exec_driver_sql(str(compiled), parameters).cursor
    assert cursor is not None
    rows = cast(list[Row], cursor.fetchall())
    cursor.close()
    return rows


@lru_cache(maxsize=256)
def _compiled(dialect: Dialect, table: Table, condition: "Condition") -> SQLCompiler:
    return select(table).where(condition(table.c.tenant_id)).compile(dialect=dialect)


@dataclass(frozen=True, slots=True)
class Tenants:
    """A choice of tenants: a condition on their id, and what is put in for its parameters."""

    condition: "Condition"
    parameters: Mapping[str, TenantId]

    @classmethod
    def between(cls, first: TenantId, last: TenantId) -> "Tenants":
        """Choose those that stand between two in the database's order, these included."""
        return cls(_is_between, {"first": first, "last": last})

    @classmethod
    def one_of(cls, tenant_ids: Sequence[TenantId]) -> "Tenants":
        """Choose certain tenants."""
        named = {f"id_{at}": tenant_id for at, tenant_id in enumerate(tenant_ids)}
        return cls(_is_one_of(len(named)), named)


Condition = Callable[[ColumnElement[str]], ColumnElement[bool]]


def _is_between(column: ColumnElement[str]) -> ColumnElement[bool]:
    return column.between(bindparam("first"), bindparam("last"))


@cache
def _is_one_of(count: int) -> Condition:
    """Return a condition with so many parameters; always the same, so that it compiles once."""

    def condition(column: ColumnElement[str]) -> ColumnElement[bool]:
        return column.in_([bindparam(f"id_{at}") for at in range(count)])

    return condition


def _with_instant(row: Row) -> Row:
    return row if row[5] is None else (*row[:5], tables.read_instant(row[5]))
