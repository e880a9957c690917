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

_ROWS = "given_rows"  # the one parameter of SQLite


def table_of(engine: Engine, columns: Columns) -> FromClause:
    """Return the rows of `rows_of` as a table `given`; a statement may hold one such table."""
    if engine.dialect.name == "sqlite":
        return _from_json(columns)
    return _from_arrays(columns)


def rows_of(engine: Engine, columns: Columns, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Return the rows as parameters, each row in the order of the columns."""
    if engine.dialect.name == "sqlite":
        return {_ROWS: json.dumps(rows)}
    lists = zip(*rows, strict=True) if rows else ([] for _ in columns)
    given = dict[str, Any]()
    for (name, kind), cells in zip(columns.items(), lists, strict=True):
        given |= _in_one_run(name, cells) if _is_binary(kind) else {_parameter(name): list(cells)}
    return given


def _from_json(columns: Columns) -> FromClause:
    each = func.json_each(bindparam(_ROWS, type_=String())).table_valued("value", name="one")
    parts = (
        func.json_extract(each.c.value, f"$[{place}]", type_=kind).label(name)
        for place, (name, kind) in enumerate(columns.items())
    )
    return select(*parts).subquery("given")


def _from_arrays(columns: Columns) -> FromClause:
    plain = dict[str, TypeEngine[Any]]()
    for name, kind in columns.items():
        binary = {f"{name}_first": Integer(), f"{name}_size": Integer()}
        plain |= binary if _is_binary(kind) else {name: kind}
    arrays = [bindparam(_parameter(name), type_=ARRAY(kind)) for name, kind in plain.items()]
    names = [column(name, kind) for name, kind in plain.items()]
    each = func.unnest(*arrays).table_valued(*names, name="given").render_derived()
    if len(plain) == len(columns):
        return each
    parts = (
        _part(each, name) if _is_binary(kind) else each.c[name] for name, kind in columns.items()
    )
    return select(*parts).subquery("given_whole")


def _in_one_run(name: str, cells: Sequence[bytes]) -> dict[str, Any]:
    """Return bytes one after the other, and where each lies: an array would hold them as text."""
    sizes = [len(cell) for cell in cells]
    firsts = [end - size + 1 for end, size in zip(accumulate(sizes), sizes, strict=True)]
    places = {_parameter(f"{name}_first"): firsts, _parameter(f"{name}_size"): sizes}
    return {_parameter(name): b"".join(cells), **places}


def _part(each: FromClause, name: str) -> ColumnElement[bytes]:
    run = bindparam(_parameter(name), type_=LargeBinary())
    first, size = each.c[f"{name}_first"], each.c[f"{name}_size"]
    return func.substring(run, first, size, type_=LargeBinary()).label(name)


def _is_binary(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, LargeBinary)


def _parameter(name: str) -> str:
    return f"given_{name}"
