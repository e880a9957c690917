"""The ledger in SQLite or PostgreSQL: its table, its engine and `SqlLedger`.

Time is the database's: processes on several machines then agree on when a lease ends. Every
change is one short transaction; none stays open while a mail is handed over.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
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
    Update,
    and_,
    case,
    create_engine,
    event,
    func,
    literal,
    make_url,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.types import TypeDecorator

from mailer.ports import LEASE, Arrival, Claim, Standing
from mailer.results import Fate, Result, State
from schemas.errors import InvalidSettings, LedgerUnavailable
from schemas.vocabulary import EventId, MailId, RuleId, TenantId

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

# The words of `state` and the last columns' shapes leave room for suppression and holding.
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
    Column("record_topic", String, nullable=False),
    Column("record_partition", Integer, nullable=False),
    Column("record_offset", BigInteger, nullable=False),
    Column("value", LargeBinary),
    CheckConstraint(
        "state IN ('waiting', 'claimed', 'sent', 'failed', 'suppressed', 'held')",
        name="push_deliveries_state",
    ),
    CheckConstraint(
        "(value IS NULL) = (state IN ('sent', 'failed', 'suppressed'))",
        name="push_deliveries_value_until_the_end",
    ),
    CheckConstraint(
        "(state = 'claimed') = (lease_until IS NOT NULL)", name="push_deliveries_lease_of_claim"
    ),
    Index("push_deliveries_due", "state", "next_attempt_at", "record_offset"),
)
_c = deliveries.c

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


@dataclass(frozen=True, slots=True)
class SqlLedger:
    """A `Ledger` in SQLite (one process) or PostgreSQL (any number)."""

    engine: Engine
    lease: timedelta = LEASE

    def take_in(self, arrivals: Sequence[Arrival]) -> int:
        """Add the mails that are not there yet, in one transaction."""
        if not arrivals:
            return 0
        insert = _insert_if_absent(self.engine).values(
            taken_in_at=self._from_now(), next_attempt_at=self._from_now()
        )
        with self._changing() as connection:
            return len(connection.execute(insert.returning(_c.mail_id), _rows(arrivals)).all())

    def claim(self, owner: str) -> Claim | None:
        """Claim the mail that has been due longest."""
        now = self._from_now()
        due = (
            select(_c.tenant_id, _c.mail_id)
            .where(_c.state == State.WAITING, _c.next_attempt_at <= now)
            .order_by(_c.next_attempt_at, _c.record_offset)
            .limit(1)
            .with_for_update(skip_locked=True)  # SQLite has one writer at a time and needs none
        )
        with self._changing() as connection:
            connection.execute(self._fall_back(_c.lease_until <= now))
            key = connection.execute(due).first()
            if key is None:
                return None
            claimed = update(deliveries).where(
                _c.tenant_id == key.tenant_id, _c.mail_id == key.mail_id
            )
            claimed = claimed.values(
                state=State.CLAIMED,
                owner=owner,
                claim_number=_c.claim_number + 1,
                lease_until=self._from_now(self.lease),
            )
            return _claim(connection.execute(claimed.returning(deliveries)).one())

    def note_start(self, claim: Claim) -> bool:
        """Note that the content goes out, and renew the lease."""
        start = _still(claim).values(
            data_started_at=self._from_now(), lease_until=self._from_now(self.lease)
        )
        with self._changing() as connection:
            return connection.execute(start).rowcount == 1

    def note(self, claim: Claim, result: Result) -> bool:
        """Note what came of a claim."""
        noted = _still(claim).values(self._noted(result))
        with self._changing() as connection:
            if connection.execute(noted).rowcount == 1:
                return True
            return connection.execute(_noted_before(claim)).first() is not None

    def _noted(self, result: Result) -> dict[str, Any]:
        state = result.fate.state
        values: dict[str, Any] = {
            "state": state,
            "lease_until": None,
            "attempts": _c.attempts + int(result.fate.is_attempt),
            "in_doubt_count": _c.in_doubt_count + int(result.adds_doubt),
            "fate": result.fate,
            "reply_code": result.code,
            "reply_text": result.text,
        }
        if state.is_final:
            return values | {"value": None, "finished_at": self._from_now()}
        if result.fate.is_attempt:
            values["next_attempt_at"] = self._from_now(result.pause)
        return values | {"data_started_at": None}

    def take_over(self, owner: str) -> int:
        """End every claim of a dead owner."""
        with self._changing() as connection:
            return connection.execute(self._fall_back(_c.owner == owner)).rowcount

    def _fall_back(self, which: ColumnElement[bool]) -> Update:
        """Return the statement that makes claims wait again; without an owner nobody notes them."""
        started = case((_c.data_started_at.is_not(None), 1), else_=0)
        return (
            update(deliveries)
            .where(_c.state == State.CLAIMED, which)
            .values(
                state=State.WAITING,
                owner=None,
                lease_until=None,
                next_attempt_at=self._from_now(),
                attempts=_c.attempts + started,
                in_doubt_count=_c.in_doubt_count + started,
                fate=case((_c.data_started_at.is_not(None), Fate.IN_DOUBT), else_=_c.fate),
                data_started_at=None,
            )
        )

    def counts(self) -> Mapping[State, int]:
        """Return how many mails stand in each state that is not final."""
        unfinished = [state for state in State if not state.is_final]
        query = select(_c.state, func.count()).where(_c.state.in_(unfinished)).group_by(_c.state)
        with self._reading() as connection:
            counted = {State(state): count for state, count in connection.execute(query)}
        return dict.fromkeys(unfinished, 0) | counted

    def standing(self, tenant_id: TenantId, mail_id: MailId) -> Standing | None:
        """Return where a mail stands."""
        query = select(
            *(column for column in _c if column is not _c.value),
            _c.value.is_not(None).label("has_value"),
        ).where(_c.tenant_id == tenant_id, _c.mail_id == mail_id)
        with self._reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else _standing(row)

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        with ledger_errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        reading = self.engine.execution_options(push_reading=True)
        with ledger_errors(), reading.connect() as connection:
            yield connection

    def _from_now(self, pause: timedelta = timedelta(0)) -> ColumnElement[datetime]:
        """Return the database's time after a pause, as an expression that an index can serve."""
        if self.engine.dialect.name == "sqlite":
            later = f"{pause.total_seconds():+.3f} seconds"
            return func.strftime(_TEXT_OF_NOW, "now", later, type_=Instant())
        now = func.statement_timestamp(type_=DateTime(timezone=True))
        return type_coerce(now + literal(pause, Interval()), Instant())


def _insert_if_absent(engine: Engine) -> sqlite.Insert | postgresql.Insert:
    if engine.dialect.name == "sqlite":
        return sqlite.insert(deliveries).on_conflict_do_nothing()
    return postgresql.insert(deliveries).on_conflict_do_nothing()


def _rows(arrivals: Sequence[Arrival]) -> list[dict[str, Any]]:
    """Return a row per key, the first one's; sorted, so that two intakes never lock crosswise."""
    firsts = {(arrival.tenant_id, arrival.mail_id): arrival for arrival in reversed(arrivals)}
    return [_row(firsts[key]) for key in sorted(firsts)]


def _row(arrival: Arrival) -> dict[str, Any]:
    return {
        "tenant_id": arrival.tenant_id,
        "mail_id": arrival.mail_id,
        "event_id": arrival.event_id,
        "rule_id": arrival.rule_id,
        "state": State.WAITING,
        "attempts": 0,
        "in_doubt_count": 0,
        "claim_number": 0,
        "expires_at": arrival.expires_at,
        "record_topic": arrival.topic,
        "record_partition": arrival.partition,
        "record_offset": arrival.offset,
        "value": arrival.value,
    }


def _of(claim: Claim) -> ColumnElement[bool]:
    return and_(
        _c.tenant_id == claim.tenant_id,
        _c.mail_id == claim.mail_id,
        _c.owner == claim.owner,
        _c.claim_number == claim.number,
    )


def _still(claim: Claim) -> Update:
    return update(deliveries).where(_of(claim), _c.state == State.CLAIMED)


def _noted_before(claim: Claim) -> Any:
    return select(_c.mail_id).where(_of(claim), _c.state != State.CLAIMED)


def _claim(row: Any) -> Claim:
    return Claim(
        tenant_id=TenantId(row.tenant_id),
        mail_id=MailId(row.mail_id),
        event_id=EventId(row.event_id),
        rule_id=RuleId(row.rule_id),
        owner=row.owner,
        number=row.claim_number,
        attempts=row.attempts,
        in_doubt_count=row.in_doubt_count,
        value=bytes(row.value),
    )


def _standing(row: Any) -> Standing:
    return Standing(
        tenant_id=TenantId(row.tenant_id),
        mail_id=MailId(row.mail_id),
        event_id=EventId(row.event_id),
        rule_id=RuleId(row.rule_id),
        state=State(row.state),
        attempts=row.attempts,
        in_doubt_count=row.in_doubt_count,
        owner=row.owner,
        claim_number=row.claim_number,
        lease_until=row.lease_until,
        next_attempt_at=row.next_attempt_at,
        expires_at=row.expires_at,
        data_started_at=row.data_started_at,
        taken_in_at=row.taken_in_at,
        finished_at=row.finished_at,
        fate=None if row.fate is None else Fate(row.fate),
        reply_code=row.reply_code,
        reply_text=row.reply_text,
        topic=row.record_topic,
        partition=row.record_partition,
        offset=row.record_offset,
        has_value=bool(row.has_value),
    )
