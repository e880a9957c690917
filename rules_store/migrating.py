"""Bringing a database's tables to what this version needs: the one door to Alembic."""

from collections.abc import Callable

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from rules_store.sql import check_schema, engine_for, found_revision, writing_to
from rules_store.tables import REVISION
from rules_store.writing import await_other_writers

#: A migration that cannot get its locks gives up instead of blocking everybody behind it.
LOCK_TIMEOUT = "10s"


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate the tables forward; two at once wait for each other, done already is no fault.

    Raise `StoreUnavailable` if the database does not answer, `AccessDenied` if it does not let us.
    """
    _migrate(url, command.upgrade, revision)


def downgrade(url: str, revision: str) -> None:
    """Migrate the tables back to a revision, `base` for none at all: what they hold is lost."""
    _migrate(url, command.downgrade, revision)


def check(url: str) -> None:
    """Raise `SchemaOutdated` unless the tables are those this version needs, or newer ones."""
    engine = engine_for(url)
    try:
        check_schema(engine)
    finally:
        engine.dispose()


def _migrate(url: str, migrate: Callable[[Config, str], None], revision: str) -> None:
    engine = engine_for(url)
    config = Config()
    config.set_main_option("script_location", "rules_store:migrations")
    try:
        with writing_to(engine) as connection:
            await_other_writers(connection)
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            if found_revision(connection) <= REVISION:  # newer ones are another version's to move
                config.attributes["connection"] = connection
                migrate(config, revision)
    finally:
        engine.dispose()
