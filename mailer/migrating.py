"""Brings the ledger's tables to what this version needs, or says that they are not there yet.

The ledger has migrations and a version table of its own, since it may live in another database
than the rules. The scripts are found as part of the package, also where it is installed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from mailer.tables import ledger_engine, ledger_errors
from schemas.errors import SchemaOutdated

if TYPE_CHECKING:
    from sqlalchemy import Connection

VERSION_TABLE = "push_ledger_alembic_version"

_LOCK = 0x70757368_6C6564  # "pushled": two processes never migrate at the same time


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the ledger's tables to this version; nothing happens where they are, or are newer.

    All in one transaction. Raise `LedgerUnavailable` if the database gave no answer and
    `InvalidSettings` if the URL cannot be meant.
    """
    with _connected(url) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        if not _is_current(connection):
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)


def downgrade(url: str, revision: str) -> None:
    """Take the ledger's tables back to an older step. Stop every `deliver` first.

    All in one transaction; raises as `upgrade` does.
    """
    with _connected(url) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def check(url: str) -> None:
    """Raise `SchemaOutdated` if the ledger's tables are missing or older than this version needs.

    Newer ones are fine: a release runs on the next one's tables. Otherwise as `upgrade`.
    """
    with _connected(url) as connection:
        current = _is_current(connection)
    if not current:
        raise SchemaOutdated(
            "the tables of the delivery ledger are missing or too old; "
            "run `push-services db upgrade`"
        )


def _is_current(connection: "Connection") -> bool:
    """Say whether the tables are at this version's last step, or at a step it does not know."""
    options = {"version_table": VERSION_TABLE}
    at = MigrationContext.configure(connection, opts=options).get_current_revision()
    scripts = ScriptDirectory.from_config(_config())
    older = {script.revision for script in scripts.walk_revisions()} - {scripts.get_current_head()}
    return at is not None and at not in older


@contextmanager
def _connected(url: str) -> Iterator["Connection"]:
    engine = ledger_engine(url)
    try:
        with ledger_errors(), engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "mailer:migrations")
    return config
