"""Run the ledger's steps on the connection that `mailer.migrating` hands over."""

from alembic import context

from mailer.migrating import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # on SQLite too: our engine begins its transactions itself
)
with context.begin_transaction():
    context.run_migrations()
