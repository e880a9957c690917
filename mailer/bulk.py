"""Many rows as one parameter, so that one statement changes them all in one round trip.

PostgreSQL unnests an array a column (bytes come as one run, cut by it), SQLite reads one JSON text:
either way the statement stays the same however many rows there are, and can be built once.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Engine, FromClause, bindparam, column, func, select
from sqlalchemy.types import Integer, LargeBinary, String, TypeEngine

Columns = Mapping[str, TypeEngine[Any]]
Parameters = dict[str, Any]

GIVEN = "given"  #: how rows are called in a statement that is given no others


def table_of(engine: Engine, columns: Columns, table: str = GIVEN) -> FromClause:
    """Return the rows of `rows_of` as a table; no two tables of a statement are called the same."""
    if engine.dialect.name == "sqlite":
        return _from_json(columns, table)
    return _from_arrays(columns, table)


def rows_of(
    engine: Engine, columns: Columns, rows: Sequence[tuple[Any, ...]], table: str = GIVEN
) -> Parameters:
    """Return the rows as parameters, each row in the order of the columns."""
    if engine.dialect.name == "sqlite":
        return {f"{table}_rows": json.dumps(rows)}
    lists = zip(*rows, strict=True) if rows else ([] for _ in columns)
    given = Parameters()
    for (name, kind), cells in zip(columns.items(), lists, strict=True):
        parameter = f"{table}_{name}"
        given |= _in_one_run(parameter, cells) if _is_binary(kind) else {parameter: list(cells)}
    return given


def _from_json(columns: Columns, table: str) -> FromClause:
    rows = bindparam(f"{table}_rows", type_=String())
    each = func.json_each(rows).table_valued("value", name=f"{table}_one")
    parts = (
        func.json_extract(each.c.value, f"$[{place}]", type_=kind).label(name)
        for place, (name, kind) in enumerate(columns.items())
    )
    return select(*parts).subquery(table)


def _from_arrays(columns: Columns, table: str) -> FromClause:
    plain = dict[str, TypeEngine[Any]]()
    for name, kind in columns.items():
        binary = {f"{name}_first": Integer(), f"{name}_size": Integer()}
        plain |= binary if _is_binary(kind) else {name: kind}
    arrays = [bindparam(f"{table}_{name}", type_=ARRAY(kind)) for name, kind in plain.items()]
    names = [column(name, kind) for name, kind in plain.items()]
    each = func.unnest(*arrays).table_valued(*names, name=table).render_derived()
    if len(plain) == len(columns):
        return each
    parts = (
        _part(each, table, name) if _is_binary(kind) else each.c[name]
        for name, kind in columns.items()
    )
    return select(*parts).subquery(f"{table}_whole")


def _in_one_run(parameter: str, cells: Sequence[bytes]) -> Parameters:
    """Return bytes one after the other, and where each lies: an array would hold them as text."""
    sizes = [len(cell) for cell in cells]
    firsts = [end - size + 1 for end, size in zip(accumulate(sizes), sizes, strict=True)]
    places = {f"{parameter}_first": firsts, f"{parameter}_size": sizes}
    return {parameter: b"".join(cells), **places}


def _part(each: FromClause, table: str, name: str) -> ColumnElement[bytes]:
    run = bindparam(f"{table}_{name}", type_=LargeBinary())
    first, size = each.c[f"{name}_first"], each.c[f"{name}_size"]
    return func.substring(run, first, size, type_=LargeBinary()).label(name)


def _is_binary(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, LargeBinary)
