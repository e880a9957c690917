"""The rules in SQLite or PostgreSQL."""

import logging
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from rules_store import tables, writing
from rules_store.changes import (
    Change,
    ChangeKind,
    Extent,
    Thing,
    changes_of_tenant,
    in_chunks,
    with_the_rest,
)
from rules_store.history import rows_as_of, versions
from rules_store.ports import Edit, LoadedRules, Tell, Version
from rules_store.rows import StoredRows, read_rows
from rules_store.signing import signed
from schemas.errors import (
    AccessDenied,
    InvalidInput,
    InvalidSettings,
    SchemaOutdated,
    StoreUnavailable,
)
from schemas.rules import TenantRules
from schemas.vocabulary import Generation, RuleId, TenantId

logger = logging.getLogger(__name__)

#: How long a writer waits for another in SQLite, in milliseconds.
SQLITE_PATIENCE = 10_000

#: A server that does not answer must be found out, or a thread would wait for ever. Seconds, but
#: the last in milliseconds (libpq, section "Parameter Key Words").
POSTGRESQL_PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

UPGRADE_HINT = "run: push-services db upgrade"


def engine_for(url: str) -> Engine:
    """Return an engine for `sqlite:///file`, `postgresql://…` or `postgres://…`.

    Nothing is connected yet. Raise `InvalidSettings`, which never says the URL, for another one.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(parsed, connect_args={"application_name": "push-services"})


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise InvalidSettings(["PUSH_DATABASE_URL: cannot be read as a database's URL"]) from None
    kind = parsed.drivername.partition("+")[0]
    if kind == "sqlite":
        return parsed.set(drivername="sqlite")
    if kind in ("postgresql", "postgres"):
        patience = {name: str(value) for name, value in POSTGRESQL_PATIENCE.items()}
        query = patience | dict(parsed.query)
        return parsed.set(drivername="postgresql+psycopg").set(query=query)
    raise InvalidSettings(["PUSH_DATABASE_URL: must begin with sqlite:/// or postgresql://"])


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    """Make SQLite check foreign keys, wait for a writer, and let readers read meanwhile."""
    connection.isolation_level = None  # or the driver would begin where it likes
    connection.text_factory = _text_or_bytes
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {SQLITE_PATIENCE}")
    with suppress(sqlite3.OperationalError):  # locked: another is switching it at this moment
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _text_or_bytes(raw: bytes) -> str | bytes:
    """Return a text, or its bytes where raw SQL stored what is none: one row must not hide all."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _begin_sqlite(connection: Connection) -> None:
    """Begin for real: a reader then sees one instant, a writer never fails half-way."""
    options = connection.get_execution_options()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees one instant, and none of the database's own errors."""
    with database_errors(), engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with connection.begin():
            yield connection


@contextmanager
def writing_to(engine: Engine) -> Iterator[Connection]:
    """Give a connection in a transaction that is committed at the end."""
    with database_errors(), engine.connect() as connection:
        connection.execution_options(writes=True)
        with connection.begin():
            yield connection


@contextmanager
def database_errors() -> Iterator[None]:
    """Translate what a database can say; in doubt it gave no answer, and waiting loses nothing."""
    try:
        yield
    except DBAPIError as error:
        said = str(error.orig)
        if getattr(error.orig, "sqlstate", None) == "42P01" or "no such table" in said:
            raise SchemaOutdated(f"the rules' tables are missing; {UPGRADE_HINT}") from error
        if _is_denial(error, said):
            raise AccessDenied("the database refuses our credentials or rights") from error
        kind = type(error.orig).__name__
        raise StoreUnavailable(f"the rules store gave no answer: {kind}") from error
    except (SQLAlchemyError, sqlite3.Error) as error:  # the driver's own: half-way through rows
        kind = type(error).__name__
        raise StoreUnavailable(f"the rules store gave no answer: {kind}") from error


def _is_denial(error: DBAPIError, said: str) -> bool:
    """Say whether who we are was refused. A refused connection carries no code, only words."""
    code = getattr(error.orig, "sqlstate", None)
    refused = isinstance(error, OperationalError) and "password authentication failed" in said
    return refused or code in ("42501", "28000", "28P01")


def check_schema(engine: Engine) -> None:
    """Raise `SchemaOutdated` unless the tables are those this version needs, or newer ones.

    Newer ones are fine: a migration never takes away what the release before it uses.
    """
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if file and file != ":memory:" and not Path(file).exists():  # asking would create it
        raise SchemaOutdated(f"the database file does not exist; {UPGRADE_HINT}")
    with reading(engine) as connection:
        check_revision(connection)


def found_revision(connection: Connection) -> str:
    """Return the migration that the tables are the result of, "" if there are none.

    Revisions are numbers of four digits, so later ones are greater.
    """
    if not inspect(connection).has_table(tables.VERSION_TABLE):
        return ""
    query = text(f"SELECT max(version_num) FROM {tables.VERSION_TABLE}")  # noqa: S608  # ours
    return connection.scalar(query) or ""


def check_revision(connection: Connection) -> None:
    """Raise `SchemaOutdated` unless the tables are those this version needs, or newer ones."""
    found = found_revision(connection)
    if found < tables.REVISION:
        raise SchemaOutdated(
            f"the rules' tables are {f'at revision {found}' if found else 'missing'}, "
            f"{tables.REVISION} is needed; {UPGRADE_HINT}"
        )
    if found > tables.REVISION:
        logger.warning("schema_newer", extra={"found": found, "known": tables.REVISION})


@dataclass(frozen=True, slots=True)
class SqlRulesStore:
    """A `RulesStore` in SQLite or PostgreSQL; its triggers count the generations.

    `changed_by` is whom the history names for what is changed here.
    """

    engine: Engine
    changed_by: str | None = None

    def generation(self) -> Generation:
        """Return the generation of the last committed change."""
        with reading(self.engine) as connection:
            return generation_of(connection)

    def load(self) -> LoadedRules:
        """Return all rules and the generation they form together, as of one instant."""
        with reading(self.engine) as connection:
            check_revision(connection)
            return read_rows(generation_of(connection), _stored_rows(connection, None))

    def load_as_of(self, tenant_id: TenantId, generation: Generation) -> TenantRules | None:
        """Return what the store held of a tenant at a generation."""
        with reading(self.engine) as connection:
            check_revision(connection)
            loaded = read_rows(generation, rows_as_of(connection, tenant_id, generation))
        return next(iter(loaded.rules.tenants), None)

    def versions(self, tenant_id: TenantId, since: Generation) -> tuple[Version, ...]:
        """Return what of a tenant was created, changed and deleted after a generation."""
        with reading(self.engine) as connection:
            check_revision(connection)
            return versions(connection, tenant_id, since)

    def load_tenants(self, tenant_ids: Sequence[TenantId]) -> LoadedRules:
        """Return what the store has of these tenants, those that are there."""
        with reading(self.engine) as connection:
            check_revision(connection)
            return _loaded(connection, tenant_ids)

    def stored_rows(
        self, tenant_ids: Sequence[TenantId] = (), most: int = 500
    ) -> Iterator[StoredRows]:
        """Return the rows of these tenants, or of all, some tenants at a time, as of one instant.

        Rows are as they are stored, whatever raw SQL made of them.
        """
        with reading(self.engine) as connection:
            check_revision(connection)
            every = select(tables.tenants.c.tenant_id).order_by(tables.tenants.c.tenant_id)
            named = tuple(tenant_ids) or tuple(connection.scalars(every))
            for at in range(0, len(named), most):
                yield _stored_rows(connection, named[at : at + most])

    def compare(
        self, tenants: Iterable[TenantRules], extent: Extent = Extent.WHOLE
    ) -> tuple[Change, ...]:
        """Return what `apply` would change, and change nothing."""
        changes: list[Change] = []
        self.bring_in(tenants, extent, changes.extend, dry_run=True)
        return tuple(changes)

    def apply(
        self, tenants: Iterable[TenantRules], extent: Extent = Extent.WHOLE
    ) -> tuple[Change, ...]:
        """Bring these tenants to exactly this, in one transaction, and return what changed."""
        changes: list[Change] = []
        self.bring_in(tenants, extent, changes.extend)
        return tuple(changes)

    def bring_in(
        self, tenants: Iterable[TenantRules], extent: Extent, tell: Tell, *, dry_run: bool = False
    ) -> None:
        """Do what `apply` does, or `compare`, with any number of tenants, some at a time.

        The transaction begins with the first chunk, so a few tenants are complete before it: a
        slow source then keeps no other writer waiting.
        """
        chunks = in_chunks(tenants)
        first = next(chunks, ())
        with self._transaction(dry_run=dry_run) as connection:
            for chunk in chain((first,), chunks):
                tell(_bring_in(connection, chunk, extent, dry_run=dry_run))

    def edit_rules(
        self, tenant_id: TenantId, edit: Edit, *, dry_run: bool = False
    ) -> tuple[Change, ...]:
        """Write the rules that are made of what a tenant has, and return what changed."""
        with self._transaction(dry_run=dry_run) as connection:
            found = _loaded(connection, (tenant_id,)).rules.tenants
            if not found:
                raise InvalidInput([f"push-services: there is no tenant {tenant_id!r}"])
            given = replace(found[0], rules=tuple(edit(found[0])))
            return _bring_in(connection, (given,), Extent.PART, dry_run=dry_run)

    def delete_rule(
        self, tenant_id: TenantId, rule_id: RuleId, *, dry_run: bool = False
    ) -> tuple[Change, ...]:
        """Delete a rule and return that change, or none if there was no such rule."""
        with self._transaction(dry_run=dry_run) as connection:
            description = connection.scalar(
                select(tables.rules.c.description).where(
                    tables.rules.c.tenant_id == tenant_id, tables.rules.c.rule_id == rule_id
                )
            )
            if description is None:
                return ()
            change = Change(ChangeKind.DELETED, Thing.RULE, tenant_id, rule_id, description)
            if not dry_run:
                writing.write(connection, (change,), (), {})
        return (change,)

    @contextmanager
    def _transaction(self, *, dry_run: bool) -> Iterator[Connection]:
        """Give a connection to tables of this version, alone among our writers if it writes."""
        if dry_run:
            with reading(self.engine) as connection:
                check_revision(connection)
                yield connection
            return
        with writing_to(self.engine) as connection:
            check_revision(connection)
            writing.await_other_writers(connection)
            with signed(connection, self.changed_by):
                yield connection


def generation_of(connection: Connection) -> Generation:
    """Return the generation of the last change that the connection sees."""
    number = connection.scalar(select(tables.rules_generation.c.generation))
    if number is None:
        raise SchemaOutdated(f"the rules' generation is missing; {UPGRADE_HINT}")
    return Generation(number)


def _loaded(connection: Connection, tenant_ids: Sequence[TenantId]) -> LoadedRules:
    return read_rows(generation_of(connection), _stored_rows(connection, tenant_ids))


def _bring_in(
    connection: Connection, given: Sequence[TenantRules], extent: Extent, *, dry_run: bool
) -> tuple[Change, ...]:
    """Bring some tenants to what is given, and return what that changes."""
    loaded = _loaded(connection, [each.tenant.tenant_id for each in given])
    stored = {found.tenant.tenant_id: found for found in loaded.rules.tenants}
    rejected: defaultdict[TenantId, set[RuleId]] = defaultdict(set)
    for rule in loaded.rejected:
        rejected[rule.tenant_id].add(rule.rule_id)
    changes: list[Change] = []
    wanted: list[TenantRules] = []
    for each in given:
        tenant_id = each.tenant.tenant_id
        before, unreadable = stored.get(tenant_id), rejected[tenant_id]
        if extent is Extent.PART:
            unreadable &= {rule.rule_id for rule in each.rules}
            wanted.append(with_the_rest(before, each))
        else:
            wanted.append(each)
        changes += changes_of_tenant(before, wanted[-1], frozenset(unreadable))
    if not dry_run:
        writing.write(connection, changes, wanted, stored)
    return tuple(changes)


def _stored_rows(connection: Connection, tenant_ids: Sequence[TenantId] | None) -> StoredRows:
    """Fetch the rows of these tenants, or of all."""

    def rows(table: Table, *order: ColumnElement[object]) -> list[tuple[object, ...]]:
        query = select(table).order_by(*order)
        if tenant_ids is not None:
            query = query.where(table.c.tenant_id.in_(tenant_ids))
        return [tuple(row) for row in connection.execute(query)]

    internal, external = tables.internal_recipients, tables.external_recipients
    return StoredRows(
        tenants=rows(tables.tenants),
        users=rows(tables.users),
        bank_accounts=rows(tables.bank_accounts),
        rules=rows(tables.rules),
        statuses=rows(tables.rule_statuses),
        accounts=rows(tables.rule_accounts),
        internal_recipients=rows(internal, internal.c.position, internal.c.user_id),
        external_recipients=rows(external, external.c.position, external.c.address),
    )
