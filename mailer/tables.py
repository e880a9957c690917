"""The ledger's tables in SQLite or PostgreSQL, and the engine that reaches them.

`push_deliveries` holds a row per mail, `push_suppressions` whom no more mails go to; these two and
Alembic's version table are all that the ledger has.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    false,
    func,
    literal,
    make_url,
    text,
    type_coerce,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.types import TypeDecorator

from schemas.errors import InvalidSettings, LedgerUnavailable

_BUSY_TIMEOUT = 10_000  # milliseconds that SQLite waits for another writer
_ANSWERING = 30_000  # milliseconds without an answer after which a PostgreSQL server counts as gone


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite keeps it as text in UTC, which sorts like time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Hand an instant to the database."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an instant as aware UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


metadata = MetaData()

deliveries = Table(
    "push_deliveries",
    metadata,
    Column("tenant_id", String, primary_key=True),
    Column("mail_id", String, primary_key=True),
    Column("event_id", String, nullable=False),
    Column("rule_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("in_doubt_count", Integer, nullable=False),
    Column("owner", String),
    Column("claim_number", Integer, nullable=False),
    Column("lease_until", Instant),
    Column("next_attempt_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("data_started_at", Instant),
    Column("taken_in_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("fate", String),
    Column("reply_code", Integer),
    Column("reply_text", String),
    Column("reply_detail", String),
    Column("was_answered", Boolean, nullable=False, server_default=false()),
    Column("trial_until", Instant),
    Column("owes_report", Boolean, nullable=False, server_default=false()),
    Column("recipient", String),
    Column("address_hash", String),
    Column("envelope_token", String),
    Column("record_topic", String, nullable=False),
    Column("record_partition", Integer, nullable=False),
    Column("record_offset", BigInteger, nullable=False),
    Column("value", LargeBinary),
    Column("replayed_since", Instant),
    CheckConstraint(
        "state IN ('waiting', 'claimed', 'sent', 'failed', 'suppressed', 'held')",
        name="push_deliveries_state",
    ),
    CheckConstraint(
        "(value IS NULL) = (state IN ('sent', 'failed', 'suppressed') AND trial_until IS NULL)",
        name="push_deliveries_value_until_the_end",
    ),
    CheckConstraint(
        "trial_until IS NULL OR state = 'failed'", name="push_deliveries_trial_of_refusal"
    ),
    CheckConstraint(
        "(state = 'claimed') = (lease_until IS NOT NULL)", name="push_deliveries_lease_of_claim"
    ),
    Index("push_deliveries_due", "state", "next_attempt_at", "record_offset"),
    Index("push_deliveries_finished", "finished_at"),
    Index("push_deliveries_envelope", "envelope_token"),
)
_FEW = text("owes_report")
Index(
    "push_deliveries_owing",
    deliveries.c.finished_at,
    sqlite_where=_FEW,
    postgresql_where=_FEW,
)

_ON_TRIAL = text("trial_until IS NOT NULL")
Index(
    "push_deliveries_on_trial",
    deliveries.c.trial_until,
    sqlite_where=_ON_TRIAL,
    postgresql_where=_ON_TRIAL,
)

EVERY_RULE = ""  #: stands for "whatever the rule" in the key of a suppression

suppressions = Table(
    "push_suppressions",
    metadata,
    Column("tenant_id", String, primary_key=True),
    Column("address_hash", String, primary_key=True),
    Column("rule_id", String, primary_key=True),
    Column("reason", String, nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Column("mail_id", String),
)

_TEXT_OF_NOW = "%Y-%m-%d %H:%M:%f000"  # as SQLAlchemy writes a datetime into SQLite


def ledger_engine(url: str) -> Engine:
    """Return an engine for a database URL; `postgresql://…` needs no driver name.

    Opens no connection yet. Raise `InvalidSettings` if the URL is none of SQLite or PostgreSQL.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError):
        raise InvalidSettings(["the ledger's database URL cannot be read"]) from None
    if backend in ("postgresql", "postgres"):
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            hide_parameters=True,
            connect_args={"connect_timeout": 10, "tcp_user_timeout": _ANSWERING},
        )
    if backend == "sqlite":
        return _sqlite_engine(url)
    raise InvalidSettings(["the ledger's database URL is neither sqlite:// nor postgresql://"])


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_on_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, DDL included
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT}")
    with suppress(sqlite3.OperationalError):  # locked: another is switching it at this moment
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut


def _begin_on_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later may be refused without any waiting.
    reading = connection.get_execution_options().get("push_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def from_now(engine: Engine, pause: timedelta = timedelta(0)) -> ColumnElement[datetime]:
    """Return the database's time after a pause, as an expression that an index can serve."""
    if engine.dialect.name == "sqlite":
        later = f"{pause.total_seconds():+.3f} seconds"
        return func.strftime(_TEXT_OF_NOW, "now", later, type_=Instant())
    now = func.statement_timestamp(type_=DateTime(timezone=True))
    return type_coerce(now + literal(pause, Interval()), Instant())


def after_seconds(engine: Engine, seconds: ColumnElement[float]) -> ColumnElement[datetime]:
    """Return the database's time after a pause that is itself a column."""
    if engine.dialect.name == "sqlite":
        later = func.printf("%+.3f seconds", seconds)
        return func.strftime(_TEXT_OF_NOW, "now", later, type_=Instant())
    now = func.statement_timestamp(type_=DateTime(timezone=True))
    pause = func.make_interval(0, 0, 0, 0, 0, 0, seconds, type_=Interval())
    return type_coerce(now + pause, Instant())


@contextmanager
def ledger_errors() -> Iterator[None]:
    """Turn every complaint of the database into `LedgerUnavailable`.

    The cause stays behind: a database cites rows, and those hold addresses.
    """
    try:
        yield
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        kind = f"{type(error.orig).__name__} {state}".strip()
        raise LedgerUnavailable(f"the delivery ledger gave no answer: {kind}") from None
    except (NoConnectionFree, sqlite3.Error) as error:
        kind = type(error).__name__
        raise LedgerUnavailable(f"the delivery ledger gave no answer: {kind}") from None
