"""Many rows as one parameter, so that one statement changes them all in one round trip.

PostgreSQL unnests an array a column, SQLite reads one JSON text: either way the statement stays the
same however many rows there are.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Engine, FromClause, bindparam, column, func, select
from sqlalchemy.types import TypeEngine

Columns = Mapping[str, TypeEngine[Any]]


def table_of(engine: Engine, columns: Columns, rows: Sequence[tuple[Any, ...]]) -> FromClause:
    """Return the rows as a table `given`; each row in the order of the columns."""
    if engine.dialect.name == "sqlite":
        return _from_json(columns, rows)
    return _from_arrays(columns, rows)


def _from_json(columns: Columns, rows: Sequence[tuple[Any, ...]]) -> FromClause:
    each = func.json_each(json.dumps(rows)).table_valued("value", name="one")
    parts = (
        func.json_extract(each.c.value, f"$[{place}]", type_=kind).label(name)
        for place, (name, kind) in enumerate(columns.items())
    )
    return select(*parts).subquery("given")


def _from_arrays(columns: Columns, rows: Sequence[tuple[Any, ...]]) -> FromClause:
    arrays = [
        bindparam(f"given_{name}", [row[place] for row in rows], ARRAY(kind), unique=True)
        for place, (name, kind) in enumerate(columns.items())
    ]
    names = [column(name, kind) for name, kind in columns.items()]
    return func.unnest(*arrays).table_valued(*names, name="given").render_derived()
