"""The tables of the history: for each table of the rules one that only grows.

A row of `push_history` is a generation. A row of another is a version of a row of its table, or
with `is_deleted` the end of one; its change set leads to the generation. Only triggers write here.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, Text, UniqueConstraint

from rules_store import tables

#: All tables of the store: those of `rules_store.tables` and these.
metadata = tables.metadata

#: The variable of a PostgreSQL session in which a writer may say who makes the change.
CHANGED_BY = "push.changed_by"

#: What a generation knows of itself. `changed_by` is what the writer said, in PostgreSQL
#: `database_user` is whom the server let in.
generations = Table(
    "push_history",
    metadata,
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("change_set", BigInteger, nullable=False),
    Column("changed_at", tables.Instant, nullable=False),
    Column("changed_by", Text),
    Column("database_user", Text),
    UniqueConstraint("change_set", name="push_history_change_set_is_unique"),
    sqlite_with_rowid=False,
)


def _history_of(table: Table) -> Table:
    """Return the table with the versions of another's rows; it takes whatever that one took."""
    return Table(
        f"{table.name}_history",
        metadata,
        Column("tenant_id", Text, primary_key=True),
        Column("entry", BigInteger, primary_key=True, autoincrement=False),  # later is greater
        Column("change_set", BigInteger, nullable=False),
        Column("is_deleted", Boolean, nullable=False),
        *(
            Column(column.name, column.type)
            for column in table.columns
            if column is not table.c.tenant_id
        ),
        Index(f"{table.name}_history_by_change_set", "change_set"),
        sqlite_with_rowid=False,
    )


#: The history of each table that triggers count.
HISTORY = {table: _history_of(table) for table in tables.COUNTED}
