"""Telling the history who makes a change: PostgreSQL knows sessions, SQLite has a row for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from rules_store.history_tables import CHANGED_BY


@contextmanager
def signed(connection: Connection, changed_by: str | None) -> Iterator[None]:
    """Let the history name a writer for what this transaction changes inside; None names nobody.

    The transaction must not be committed before the end: what SQLite has noted is every writer's.
    """
    if changed_by is None:
        yield
    elif connection.dialect.name == "postgresql":
        setting = {"name": CHANGED_BY, "value": changed_by}
        connection.execute(text("SELECT set_config(:name, :value, true)"), setting)
        yield
    else:
        note = text("UPDATE push_changed_by SET changed_by = :changed_by")
        connection.execute(note, {"changed_by": changed_by})
        yield
        connection.execute(note, {"changed_by": None})
