"""Rows of some tenants by the driver's own means: SQLAlchemy's rows cost as much again.

SQLite's driver gives the interpreter away for every single row and waits until it gets it back, up
to five milliseconds beside a thread that computes: sixty rows of one changed tenant would take a
third of a second. Where others compute, SQLite therefore puts a tenant's rows into one text.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeAlias, cast

from sqlalchemy import ColumnElement, Connection, Dialect, Select, Table, bindparam, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql.compiler import SQLCompiler

from rules_store.breaks import STRETCH, Breathe
from rules_store.rows import Row
from schemas.vocabulary import TenantId

Condition: TypeAlias = Callable[[ColumnElement[str]], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Tenants:
    """A choice of tenants: a condition on their id, and what is put in for its parameters."""

    condition: Condition
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


def _is_between(column: ColumnElement[str]) -> ColumnElement[bool]:
    return column.between(bindparam("first"), bindparam("last"))


@cache
def _is_one_of(count: int) -> Condition:
    """Return a condition with so many parameters; always the same, so that it compiles once."""

    def condition(column: ColumnElement[str]) -> ColumnElement[bool]:
        return column.in_([bindparam(f"id_{at}") for at in range(count)])

    return condition


def fetch(connection: Connection, tenants: Tenants, table: Table) -> list[Row]:
    """Fetch the rows as fast as the driver can where nobody else computes."""
    if connection.dialect.name == "sqlite":
        try:
            with _only_texts(connection):
                return _all_rows(connection, tenants, table)
        except (OperationalError, sqlite3.OperationalError):
            pass  # a text that is none, which the connection otherwise gives as bytes
    return _all_rows(connection, tenants, table)


@contextmanager
def _only_texts(connection: Connection) -> Iterator[None]:
    """Have the driver decode texts itself: ours, which takes bytes too, is called for each."""
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    ours, driver.text_factory = driver.text_factory, str
    try:
        yield
    finally:
        driver.text_factory = ours


def _all_rows(connection: Connection, tenants: Tenants, table: Table) -> list[Row]:
    cursor = _executed(connection, tenants, table, _plainly)
    rows = cast(list[Row], cursor.fetchall())
    cursor.close()
    return rows


def fetch_beside_others(
    connection: Connection, tenants: Tenants, table: Table, breathe: Breathe
) -> list[Row]:
    """Fetch the rows beside a thread that computes, with a break after each stretch of them."""
    if connection.dialect.name == "sqlite":
        try:
            return _in_one_text(connection, tenants, table, breathe)
        except (OperationalError, sqlite3.OperationalError, ValueError):
            # Raw SQL brought in what no JSON can hold: bytes, infinity.
            return fetch(connection, tenants, table)
    cursor = _executed(connection, tenants, table, _plainly)
    rows: list[Row] = []
    while part := cursor.fetchmany(STRETCH):
        rows += part
        if len(part) == STRETCH:
            breathe()
    cursor.close()
    return rows


def _in_one_text(
    connection: Connection, tenants: Tenants, table: Table, breathe: Breathe
) -> list[Row]:
    cursor = _executed(connection, tenants, table, _by_tenant)
    rows: list[Row] = []
    rested_at = 0
    for (text,) in cursor:
        rows += map(tuple, json.loads(text))
        if len(rows) - rested_at >= STRETCH:
            rested_at = len(rows)
            breathe()
    cursor.close()
    return rows


def _plainly(table: Table) -> Select[Any]:
    return select(table)


def _by_tenant(table: Table) -> Select[Any]:
    rows = func.json_group_array(func.json_array(*table.columns))
    return select(rows).group_by(table.c.tenant_id)


def _executed(
    connection: Connection, tenants: Tenants, table: Table, ask: Callable[[Table], Select[Any]]
) -> Any:
    """Return the driver's cursor, the statement executed."""
    compiled = _compiled(connection.dialect, table, tenants.condition, ask)
    given = compiled.construct_params(tenants.parameters)
    parameters = tuple([given[name] for name in compiled.positiontup or ()]) or given
    cursor = connection.exec_driver_sql(str(compiled), parameters).cursor
    assert cursor is not None
    return cursor


@lru_cache(maxsize=256)
def _compiled(
    dialect: Dialect, table: Table, condition: Condition, ask: Callable[[Table], Select[Any]]
) -> SQLCompiler:
    return ask(table).where(condition(table.c.tenant_id)).compile(dialect=dialect)
