"""Databases full of rules, filled as fast as they can be: past the triggers, history and all.

Tables are made as of the first migration, filled with the triggers off, and then migrated: the step
that brings the history enters what is there. So the history is that of a real store.
"""

import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import psycopg

from rules_store.migrating import upgrade
from schemas.vocabulary import TICKABLE, EventType

RULES_OF_A_TENANT = 10
USERS, ACCOUNTS = 3, 4  # of a tenant
CHUNK = 20_000  # tenants' rows that are held at once, about

Row = tuple[object, ...]
Told = Callable[[str], None]

TABLES = {
    "push_tenants": ("tenant_id", "name", "language", "time_zone"),
    "push_users": ("tenant_id", "user_id", "name", "email", "language", "active"),
    "push_bank_accounts": ("tenant_id", "account_id", "iban", "description"),
    "push_rules": (
        *("tenant_id", "rule_id", "description", "event_type", "all_accounts", "subject"),
        *("subject_may_show_amount", "subject_may_show_reference"),
        *("detail_internal", "detail_external", "enabled"),
    ),
    "push_rule_statuses": ("tenant_id", "rule_id", "status"),
    "push_rule_accounts": ("tenant_id", "rule_id", "account_id"),
    "push_rule_internal_recipients": ("tenant_id", "rule_id", "user_id", "position"),
    "push_rule_external_recipients": (
        *("tenant_id", "rule_id", "address", "position", "language", "verified_at"),
    ),
}


def tenant_name(number: int) -> str:
    """Return the id of a tenant."""
    return f"m-{number:06}"


def rule_name(tenant: int, number: int) -> str:
    """Return the id of a rule."""
    return f"r-{tenant * RULES_OF_A_TENANT + number:07}"


def account_name(tenant: int, number: int) -> str:
    """Return the id of a bank account."""
    return f"acc-{tenant * ACCOUNTS + number}"


def rows(tenant: int) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a tenant with ten rules, no two alike, each with its table."""
    chance, name = random.Random(tenant), tenant_name(tenant)
    yield "push_tenants", (name, f"Mandant {tenant} GmbH", "de", "Europe/Berlin")
    for user in range(USERS):
        address = f"person{user}@mandant-{tenant}.example"
        yield "push_users", (name, f"u-{user}", f"Person {user}", address, "de", True)
    for account in range(ACCOUNTS):
        yield "push_bank_accounts", (name, account_name(tenant, account), None, f"Konto {account}")
    for number in range(RULES_OF_A_TENANT):
        yield from _rule_rows(name, tenant, number, chance)


def _rule_rows(
    name: str, tenant: int, number: int, chance: random.Random
) -> Iterator[tuple[str, Row]]:
    key = (name, rule_name(tenant, number))
    event = EventType.PAYMENT_FILE_REJECTED if number == 0 else EventType.PAYMENT_STATUS_UPDATED
    all_accounts = chance.random() < 0.6
    description = f"Nicht ausgeführte Zahlungen {tenant}/{number}"
    subject = f"{{{{ status }}}}: {{{{ tenant }}}} {tenant}/{number}"
    levels = (False, False, "standard", "minimal", True)
    yield "push_rules", (*key, description, event.value, all_accounts, subject, *levels)
    if number:
        for status in chance.sample(TICKABLE, chance.randint(1, 3)):
            yield "push_rule_statuses", (*key, status.value)
        if not all_accounts:
            for account in chance.sample(range(ACCOUNTS), 2):
                yield "push_rule_accounts", (*key, account_name(tenant, account))
    yield "push_rule_internal_recipients", (*key, f"u-{chance.randrange(USERS)}", 0)
    outside = f"buchhaltung{number}@kanzlei-{tenant}.example"
    yield "push_rule_external_recipients", (*key, outside, 0, None, None)


def filled_chunks(rules: int, tell: Told) -> Iterator[dict[str, list[Row]]]:
    """Yield all rows by table, some thousand tenants at a time."""
    tenants = iter(range(rules // RULES_OF_A_TENANT))
    while chunk := list(islice(tenants, CHUNK // RULES_OF_A_TENANT)):
        found: dict[str, list[Row]] = {table: [] for table in TABLES}
        for tenant in chunk:
            for table, row in rows(tenant):
                found[table].append(row)
        yield found
        tell(f"{(chunk[-1] + 1) * RULES_OF_A_TENANT} of {rules} rules are in")


def fill_sqlite(file: Path, rules: int, tell: Told) -> str:
    """Make a file with so many rules and return its URL."""
    url = f"sqlite:///{file}"
    upgrade(url, "0001")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        triggers = connection.execute(query).fetchall()
        connection.execute("BEGIN")
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for found in filled_chunks(rules, tell):
            for table, of_table in found.items():
                places = ", ".join("?" * len(TABLES[table]))
                connection.executemany(f"INSERT INTO {table} VALUES ({places})", of_table)
        for _, statement in triggers:
            connection.execute(statement)
        connection.execute("COMMIT")
    tell("the history is made")
    upgrade(url)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return url


def fill_postgresql(url: str, rules: int, tell: Told) -> str:
    """Fill an empty database with so many rules and return its URL."""
    upgrade(url, "0001")
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")  # no triggers, no foreign keys
        for found in filled_chunks(rules, tell):
            for table, of_table in found.items():
                _copy(connection, table, of_table)
    tell("the history is made")
    upgrade(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return url


def _copy(connection: psycopg.Connection[Row], table: str, of_table: Iterable[Row]) -> None:
    columns = ", ".join(TABLES[table])
    statement = f"COPY {table} ({columns}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in of_table:
            copy.write_row(row)
