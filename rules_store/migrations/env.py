"""How Alembic runs our migrations: on the connection it is given, on our own tables only."""

from alembic import context

from rules_store.history_tables import metadata
from rules_store.tables import VERSION_TABLE


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Say whether a thing of the database is ours; other services' tables are left alone."""
    return kind != "table" or name in metadata.tables


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    include_name=include_name,
    render_as_batch=True,
    transactional_ddl=True,  # also in SQLite, whose transactions we begin ourselves
)
with context.begin_transaction():
    context.run_migrations()
