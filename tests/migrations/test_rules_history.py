"""The history: what triggers keep of every change, whoever makes it with whatever statement."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Table, select, text

from rules_store import tables
from rules_store.history import changed_tenants
from rules_store.history_tables import HISTORY, generations
from rules_store.migrating import downgrade, upgrade
from rules_store.sql import SqlRulesStore
from schemas.vocabulary import Generation
from tests.migrations.raw_sql import RULE, UPDATED, disposed, filled, raw

Rows = dict[str, list[tuple[Any, ...]]]


def stored(engine: Engine) -> Rows:
    """Return the rows of all tables."""
    with engine.connect() as connection:
        return {table.name: rows(connection, table) for table in tables.COUNTED}


def rows(connection: Connection, table: Table) -> list[tuple[Any, ...]]:
    return sorted(map(tuple, connection.execute(select(table))), key=repr)


def remembered(engine: Engine) -> Rows:
    """Return the rows that the newest versions in the history say are there."""
    with engine.connect() as connection:
        return {
            table.name: sorted(newest_versions(connection, table).values(), key=repr)
            for table in tables.COUNTED
        }


def newest_versions(connection: Connection, table: Table) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    kept = HISTORY[table]
    columns = [kept.c[column.name] for column in table.columns]
    key_length = len(table.primary_key.columns)
    versions = (
        select(kept.c.is_deleted, *columns)
        .join(generations, generations.c.change_set == kept.c.change_set)
        .order_by(generations.c.generation, kept.c.entry)
    )
    newest: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for is_deleted, *version in connection.execute(versions):
        key = tuple(version[:key_length])
        newest.pop(key, None)
        if not is_deleted:
            newest[key] = tuple(version)
    return newest


@pytest.mark.parametrize(
    "statement",
    [
        *(pytest.param(f"DELETE FROM {t.name}", id=f"delete {t.name}") for t in tables.COUNTED),
        pytest.param("UPDATE push_users SET active = false, email = NULL", id="change"),
        pytest.param("UPDATE push_users SET user_id = 'v'", id="another id"),
        pytest.param("UPDATE push_users SET tenant_id = 'n'", id="another tenant"),
        pytest.param("UPDATE push_rules SET rule_id = 'q'", id="another rule id, with its parts"),
        pytest.param("UPDATE push_tenants SET tenant_id = 'k' WHERE tenant_id = 'm'", id="renamed"),
        pytest.param("UPDATE push_rule_external_recipients SET verified_at = NULL", id="instant"),
        pytest.param(
            "INSERT INTO push_users VALUES ('m', 'u', 'Neu', NULL, NULL, true)"
            " ON CONFLICT (tenant_id, user_id) DO UPDATE SET name = 'Neu'",
            id="upsert",
        ),
        pytest.param(
            "INSERT INTO push_users VALUES ('m', 'u', 'Neu', NULL, NULL, true)"
            " ON CONFLICT DO NOTHING",
            id="upsert that does nothing",
        ),
    ],
)
def test_the_newest_versions_are_the_rows_that_are_there(engine: Engine, statement: str) -> None:
    filled(engine)
    raw(engine, "INSERT INTO push_tenants (tenant_id, name) VALUES ('n', 'N')")

    raw(engine, statement)

    assert remembered(engine) == stored(engine)


@pytest.mark.postgresql
def test_truncated_rows_end_in_the_history(on_postgresql: Engine) -> None:
    filled(on_postgresql)

    raw(on_postgresql, "TRUNCATE push_tenants CASCADE")

    assert remembered(on_postgresql) == {name: [] for name in stored(on_postgresql)}


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(
            f"INSERT OR REPLACE INTO push_rules (tenant_id, rule_id, description, event_type)"
            f" VALUES ('m', 'q', 'Regel', '{UPDATED}')",
            id="another rule's description",
        ),
        pytest.param(
            "UPDATE OR REPLACE push_rules SET description = 'Regel' WHERE rule_id = 's'",
            id="another rule's description, changed",
        ),
        pytest.param(
            f"INSERT OR IGNORE INTO push_rules (tenant_id, rule_id, description, event_type)"
            f" VALUES ('m', 'q', 'Regel', '{UPDATED}')",
            id="ignored",
        ),
        pytest.param(
            "UPDATE OR IGNORE push_rules SET description = 'Regel' WHERE rule_id = 's'",
            id="ignored change",
        ),
        pytest.param(
            "INSERT OR REPLACE INTO push_users (tenant_id, user_id, name) VALUES ('m', 'u', 'Neu')",
            id="replaced user",
        ),
    ],
)
def test_what_sqlite_replaces_without_a_trigger_ends_in_the_history(
    on_sqlite: Engine, statement: str
) -> None:
    filled(on_sqlite)
    raw(on_sqlite, f"{RULE} ('m', 's', 'Zweite', '{UPDATED}')")

    raw(on_sqlite, statement)
    raw(on_sqlite, f"{RULE} ('m', 't', 'Dritte', '{UPDATED}')")

    assert remembered(on_sqlite) == stored(on_sqlite)


def test_a_tenant_has_changed_with_anything_of_it(engine: Engine) -> None:
    store = filled(engine)
    raw(engine, "INSERT INTO push_tenants (tenant_id, name) VALUES ('n', 'N'), ('o', 'O')")
    before = store.generation()

    raw(
        engine,
        "INSERT INTO push_rule_statuses VALUES ('m', 'r', 'FIN_ACCEPTED')",
        "DELETE FROM push_tenants WHERE tenant_id = 'n'",
    )

    assert changed(engine, since=before) == {"m", "n"}
    assert changed(engine, since=store.generation()) == set()


def changed(engine: Engine, since: int) -> frozenset[str]:
    with engine.connect() as connection:
        return changed_tenants(connection, Generation(since))


@pytest.fixture
def outdated(url: str) -> Iterator[SqlRulesStore]:
    """A store with a row in every table that knows no history yet."""
    upgrade(url, "0001")
    with disposed(url) as engine:
        yield filled(engine)


def test_every_column_of_every_table_is_kept(engine: Engine) -> None:
    filled(engine)

    raw(
        engine,
        "UPDATE push_tenants SET language = 'en', time_zone = 'Europe/Vienna'",
        "UPDATE push_users SET email = 'a@b.example', language = 'en', active = false",
        "UPDATE push_bank_accounts SET iban = 'DE89370400440532013000', description = 'Haupt'",
        "UPDATE push_rules SET all_accounts = true, subject = 'S', subject_may_show_amount = true,"
        " subject_may_show_reference = true, detail_internal = 'full', detail_external = 'full',"
        " enabled = false",
        "UPDATE push_rule_internal_recipients SET position = 7",
        "UPDATE push_rule_external_recipients SET position = 8, language = 'en',"
        " verified_at = '2026-03-01T12:00:00+00:00'",
    )

    values = [value for rows in stored(engine).values() for row in rows for value in row]
    assert None not in values  # or nothing is said about that column
    assert remembered(engine) == stored(engine)


def test_what_is_there_enters_at_the_generation_in_force(outdated: SqlRulesStore, url: str) -> None:
    before = outdated.generation()

    upgrade(url)

    assert remembered(outdated.engine) == stored(outdated.engine)
    assert known_generations(outdated.engine) == [before]
    assert outdated.generation() == before


def test_every_generation_from_then_on_is_known_once_and_in_order(
    outdated: SqlRulesStore, url: str
) -> None:
    first = outdated.generation()
    upgrade(url)

    raw(outdated.engine, "UPDATE push_users SET active = false")
    raw(outdated.engine, "DELETE FROM push_tenants")

    last = outdated.generation()
    assert known_generations(outdated.engine) == list(range(first, last + 1))
    assert remembered(outdated.engine) == stored(outdated.engine)


def known_generations(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.scalars(select(generations.c.generation).order_by("changed_at")))


def test_down_and_up_again_keeps_the_rules_and_begins_the_history_anew(
    engine: Engine, url: str
) -> None:
    store = filled(engine)
    kept, before = stored(engine), store.generation()

    downgrade(url, "0001")
    upgrade(url)
    raw(engine, "UPDATE push_users SET active = false")

    assert known_generations(engine) == [before, store.generation()]
    assert remembered(engine) == stored(engine) != kept


def test_without_the_history_generations_still_count(engine: Engine, url: str) -> None:
    store = filled(engine)
    kept, before = stored(engine), store.generation()

    downgrade(url, "0001")
    raw(engine, "UPDATE push_users SET active = false")

    assert store.generation() == before + 1
    assert stored(engine) == {**kept, "push_users": [("m", "u", "Anna", None, None, False)]}


@pytest.mark.postgresql
def test_a_writer_on_postgresql_says_who_it_is_or_is_known_by_its_login(
    on_postgresql: Engine,
) -> None:
    filled(on_postgresql)

    raw(
        on_postgresql,
        "SET LOCAL push.changed_by = 'Eva (Support)'",
        "UPDATE push_users SET active = false",
    )
    raw(on_postgresql, "UPDATE push_users SET active = true")

    assert last_writers(on_postgresql) == [(None, "push"), ("Eva (Support)", "push")]


def test_a_writer_on_sqlite_says_who_it_is_within_its_transaction(on_sqlite: Engine) -> None:
    filled(on_sqlite)

    raw(
        on_sqlite,
        "UPDATE push_changed_by SET changed_by = 'Eva (Support)'",
        "UPDATE push_users SET active = false",
        "UPDATE push_changed_by SET changed_by = NULL",
    )
    raw(on_sqlite, "UPDATE push_users SET active = true")

    assert last_writers(on_sqlite) == [(None, None), ("Eva (Support)", None)]


def last_writers(engine: Engine) -> list[tuple[str | None, str | None]]:
    said = select(generations.c.changed_by, generations.c.database_user)
    with engine.connect() as connection:
        newest_first = said.order_by(generations.c.generation.desc()).limit(2)
        return [(by, user) for by, user in connection.execute(newest_first)]


@pytest.mark.postgresql
def test_a_commit_wakes_whoever_listens_with_its_generation(on_postgresql: Engine) -> None:
    store = filled(on_postgresql)

    with on_postgresql.connect().execution_options(isolation_level="AUTOCOMMIT") as listening:
        listening.execute(text(f"LISTEN {tables.CHANNEL}"))
        raw(
            on_postgresql,
            "UPDATE push_users SET active = false",
            "UPDATE push_users SET active = true",
        )
        driver = listening.connection.driver_connection
        assert driver is not None
        heard = [note.payload for note in driver.notifies(timeout=5, stop_after=1)]

    assert heard == [str(store.generation())]


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE push_users SET active = false", id="rows of one statement"),
        pytest.param("UPDATE push_users SET user_id = 'v' || user_id", id="under other keys"),
        pytest.param(
            "DO $$ BEGIN FOR n IN 1..40000 LOOP"
            " UPDATE push_users SET active = false WHERE tenant_id = 'm' AND user_id = 'u' || n;"
            " END LOOP; END $$",
            id="a statement for each row",
        ),
        pytest.param("DELETE FROM push_tenants", id="cascading"),
    ],
)
def test_forty_thousand_rows_in_one_transaction_cost_no_more_each_than_few(
    on_postgresql: Engine, statement: str
) -> None:
    # shown to fail where vanished keys are found by NOT EXISTS: one row first makes the plan
    filled(on_postgresql)
    raw(
        on_postgresql,
        "INSERT INTO push_users (tenant_id, user_id, name)"
        " SELECT 'm', 'u' || n, 'N' FROM generate_series(1, 40000) n",
    )
    before = SqlRulesStore(on_postgresql).generation()

    raw(
        on_postgresql,
        "SET LOCAL statement_timeout = '60s'",  # what is quadratic takes many minutes
        "UPDATE push_users SET active = true WHERE user_id = 'u'",
        statement,
    )

    assert SqlRulesStore(on_postgresql).generation() == before + 1
    assert remembered(on_postgresql) == stored(on_postgresql)
