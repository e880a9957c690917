"""The rules' tables: what migrations make, what the database itself refuses, what triggers count.

Raw SQL here stands for the admin service, which may write with any client.
"""

import contextlib
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import IntegrityError

from rules_store import tables
from rules_store.migrating import check, downgrade, upgrade
from rules_store.sql import SqlRulesStore
from schemas.errors import SchemaOutdated
from tests.builders import a_rule, a_tenant_with, an_external_recipient
from tests.migrations.raw_sql import RULE, UPDATED, disposed, filled, raw

COUNTED = [table.name for table in tables.COUNTED]
#: The tables of the first release, whose code also runs on newer ones.
FIRST_RELEASE = [*COUNTED, "push_rules_generation"]


# --- migrations ---


def test_the_tables_are_those_the_program_declares(engine: Engine) -> None:
    with engine.connect() as connection:
        options = {"version_table": tables.VERSION_TABLE, "include_name": is_declared}
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, tables.metadata)

    assert differences == []


def is_declared(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or name in tables.metadata.tables


def test_columns_checks_and_keys_are_those_the_program_declares(url: str, tmp_path: Path) -> None:
    upgrade(url)
    with disposed(url) as engine:
        migrated = described(engine)
        raw(engine, *(f"DROP TABLE {name}" for name in reversed(list(tables.metadata.tables))))
        tables.metadata.create_all(engine)
        declared = described(engine)

    assert migrated == declared


def described(engine: Engine) -> dict[str, list[str]]:
    """Return what an inspector sees of each table, comparable between two ways to make it."""
    looked = inspect(engine)
    return {
        name: sorted(
            repr(found)
            for found in (
                *looked.get_columns(name),
                *({**check, "table": ""} for check in looked.get_check_constraints(name)),
                *({**key, "name": ""} for key in looked.get_foreign_keys(name)),
                *looked.get_unique_constraints(name),
                looked.get_pk_constraint(name)["constrained_columns"],
            )
        )
        for name in tables.metadata.tables
    }


def test_up_down_and_up_again_works_with_rules_in_the_tables(url: str) -> None:
    upgrade(url)
    with disposed(url) as engine:
        SqlRulesStore(engine).apply(
            [a_tenant_with(a_rule(external_recipients=(an_external_recipient(),)))]
        )

        downgrade(url, "base")
        left = [name for name in inspect(engine).get_table_names() if name in COUNTED]
        upgrade(url)

        assert left == []
        assert SqlRulesStore(engine).load().rules.tenants == ()


def test_upgrading_twice_keeps_what_is_there(engine: Engine, url: str) -> None:
    before = filled(engine).load()

    upgrade(url)

    assert SqlRulesStore(engine).load() == before


def test_two_may_upgrade_at_once(url: str) -> None:
    both = [threading.Thread(target=upgrade, args=(url,)) for _ in range(2)]

    for one in both:
        one.start()
    for one in both:
        one.join()

    check(url)


def test_the_newest_migration_is_the_one_the_program_asks_for() -> None:
    config = Config()
    config.set_main_option("script_location", "rules_store:migrations")

    head = ScriptDirectory.from_config(config).get_current_head()

    assert head == tables.REVISION


def test_tables_of_others_are_left_alone(url: str) -> None:
    with disposed(url) as engine:
        raw(engine, "CREATE TABLE push_rulesets (id INTEGER PRIMARY KEY)")
        upgrade(url)

        downgrade(url, "base")

        assert "push_rulesets" in inspect(engine).get_table_names()


def test_an_empty_database_is_outdated_and_says_what_to_do(url: str) -> None:
    with pytest.raises(SchemaOutdated, match="push-services db upgrade"):
        check(url)


def test_an_older_schema_is_outdated(engine: Engine, url: str) -> None:
    raw(engine, f"UPDATE {tables.VERSION_TABLE} SET version_num = '0000'")

    with pytest.raises(SchemaOutdated, match="push-services db upgrade"):
        check(url)


def test_a_newer_schema_is_fine_and_not_migrated(engine: Engine, url: str) -> None:
    raw(engine, f"UPDATE {tables.VERSION_TABLE} SET version_num = '9999'")

    upgrade(url)

    check(url)


def test_checking_does_not_create_a_database_file(tmp_path: Path) -> None:
    with pytest.raises(SchemaOutdated):
        check(f"sqlite:///{tmp_path / 'none.db'}")

    assert list(tmp_path.iterdir()) == []


# --- what the database refuses ---


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(f"{RULE} ('m', 'r2', 'Regel', '{UPDATED}')", id="description taken"),
        pytest.param(f"{RULE} ('m', 'r2', '', '{UPDATED}')", id="no description"),
        pytest.param(f"{RULE} ('m', '', 'Neu', '{UPDATED}')", id="empty id"),
        pytest.param(f"{RULE} ('m', 'r2', 'Neu', 'vop')", id="unknown event type"),
        pytest.param(f"{RULE} ('m2', 'r2', 'Neu', '{UPDATED}')", id="no such tenant"),
        pytest.param("UPDATE push_rules SET detail_internal = 'most'", id="unknown level"),
        pytest.param("UPDATE push_rules SET detail_external = ''", id="empty level"),
        pytest.param("UPDATE push_rules SET all_accounts = NULL", id="flag neither nor"),
        pytest.param("UPDATE push_rules SET subject = NULL", id="subject missing"),
        pytest.param("UPDATE push_users SET language = 'fr'", id="unknown language"),
        pytest.param("UPDATE push_tenants SET language = NULL", id="tenant without language"),
        pytest.param(
            "UPDATE push_bank_accounts SET iban = 'DE89 3704 0044 0532 0130 00'",
            id="iban with spaces",
        ),
        pytest.param("UPDATE push_bank_accounts SET iban = 'DE89'", id="short iban"),
        pytest.param(
            "INSERT INTO push_rule_statuses VALUES ('m', 'r9', 'X')", id="status of no rule"
        ),
        pytest.param(
            "INSERT INTO push_rule_statuses VALUES ('m', 'r', 'FIN_REJECTED')", id="status twice"
        ),
        pytest.param(
            "UPDATE push_rule_external_recipients SET language = 'EN'", id="language in capitals"
        ),
        pytest.param("INSERT INTO push_rules_generation VALUES (false, 7)", id="second counter"),
    ],
)
def test_the_database_itself_refuses(engine: Engine, statement: str) -> None:
    filled(engine)

    with pytest.raises(IntegrityError):
        raw(engine, statement)


def test_users_and_accounts_that_a_rule_names_may_be_deleted(engine: Engine) -> None:
    store = filled(engine)

    raw(engine, "DELETE FROM push_users", "DELETE FROM push_bank_accounts")

    (tenant,) = store.load().rules.tenants
    assert (tenant.users, tenant.bank_accounts) == ({}, {})
    assert tenant.rules[0].internal_recipients == ("u",)


def test_a_deleted_tenant_takes_everything_along(engine: Engine) -> None:
    filled(engine)

    raw(engine, "DELETE FROM push_tenants")

    with engine.connect() as connection:
        left = [connection.scalar(text(f"SELECT count(*) FROM {name}")) for name in COUNTED]
    assert left == [0] * len(COUNTED)


def test_a_deleted_tenant_takes_everything_along_without_foreign_keys(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'rules.db'}"
    upgrade(url)
    with disposed(url) as engine:
        filled(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("DELETE FROM push_tenants")
            left = [connection.scalar(text(f"SELECT count(*) FROM {name}")) for name in COUNTED]
            connection.exec_driver_sql("BEGIN")

    assert left == [0] * len(COUNTED)


# --- what triggers count ---


@pytest.mark.parametrize(
    "statement",
    [
        *(pytest.param(f"DELETE FROM {name}", id=f"delete {name}") for name in COUNTED),
        *(
            pytest.param(f"UPDATE {name} SET tenant_id = tenant_id", id=f"update {name}")
            for name in COUNTED
        ),
        pytest.param("INSERT INTO push_tenants (tenant_id, name) VALUES ('n', 'N')", id="tenant"),
        pytest.param(
            "INSERT INTO push_users (tenant_id, user_id, name) VALUES ('m', 'v', 'V')", id="user"
        ),
        pytest.param(
            "INSERT INTO push_bank_accounts (tenant_id, account_id) VALUES ('m', 'b')", id="account"
        ),
        pytest.param(f"{RULE} ('m', 'q', 'Q', '{UPDATED}')", id="rule"),
        pytest.param("INSERT INTO push_rule_statuses VALUES ('m', 'r', 'NEW')", id="status"),
        pytest.param("INSERT INTO push_rule_accounts VALUES ('m', 'r', 'b')", id="chosen account"),
        pytest.param(
            "INSERT INTO push_rule_internal_recipients VALUES ('m', 'r', 'v', 1)", id="internal"
        ),
        pytest.param(
            "INSERT INTO push_rule_external_recipients (tenant_id, rule_id, address)"
            " VALUES ('m', 'r', 'z@y.example')",
            id="external",
        ),
    ],
)
def test_raw_sql_forms_a_new_generation(engine: Engine, statement: str) -> None:
    store = filled(engine)
    before = store.generation()

    raw(engine, statement)

    assert store.generation() > before


def test_a_statement_that_changes_no_row_forms_no_generation(engine: Engine) -> None:
    store = filled(engine)
    before = store.generation()

    raw(engine, "DELETE FROM push_rules WHERE tenant_id = 'nobody'")

    assert store.generation() == before


def test_what_is_rolled_back_forms_no_generation(engine: Engine) -> None:
    store = filled(engine)
    before = store.generation()

    with engine.connect() as connection:
        connection.execute(text("DELETE FROM push_rules"))
        connection.rollback()

    assert store.generation() == before


@pytest.mark.postgresql
def test_a_transaction_forms_one_generation_however_much_it_changes(
    on_postgresql: Engine,
) -> None:
    store = filled(on_postgresql)
    before = store.generation()

    raw(
        on_postgresql,
        "INSERT INTO push_users (tenant_id, user_id, name)"
        " SELECT 'm', 'u' || n, 'N' FROM generate_series(1, 2000) n",
        "SAVEPOINT half",
        "DELETE FROM push_rules",
        "ROLLBACK TO half",
        "SET CONSTRAINTS ALL IMMEDIATE",
        "UPDATE push_users SET active = false",
        "SET CONSTRAINTS ALL DEFERRED",
        "DELETE FROM push_users WHERE user_id LIKE 'u1%'",
    )

    assert store.generation() == before + 1


@pytest.mark.postgresql
def test_truncating_forms_a_new_generation(on_postgresql: Engine) -> None:
    store = filled(on_postgresql)
    before = store.generation()

    raw(on_postgresql, "TRUNCATE push_users")

    assert store.generation() == before + 1


@pytest.mark.postgresql
def test_a_transaction_left_open_keeps_nobody_waiting(on_postgresql: Engine) -> None:
    store = filled(on_postgresql)
    before = store.generation()

    with on_postgresql.begin() as left_open:
        left_open.execute(text("UPDATE push_users SET active = false"))
        with on_postgresql.begin() as other:
            other.execute(text("SET LOCAL lock_timeout = '2s'"))
            other.execute(text("UPDATE push_bank_accounts SET description = 'neu'"))
        assert store.generation() == before + 1

    assert store.generation() == before + 2


@pytest.mark.postgresql
def test_generations_of_many_writers_have_no_gaps_and_no_doubles(on_postgresql: Engine) -> None:
    store = filled(on_postgresql)
    before = store.generation()
    writers = [threading.Thread(target=write_often, args=(on_postgresql, name)) for name in "abcd"]

    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert store.generation() == before + 4 * 25
    (tenant,) = store.load().rules.tenants
    assert len(tenant.users) == 1 + 4 * 25


def write_often(engine: Engine, name: str) -> None:
    for at in range(25):
        raw(engine, f"INSERT INTO push_users VALUES ('m', '{name}{at}', 'N', NULL, NULL, true)")


@pytest.mark.postgresql
def test_a_writer_needs_no_rights_on_the_counter(on_postgresql: Engine) -> None:
    store = filled(on_postgresql)
    before = store.generation()

    with writer_of_users(on_postgresql) as connection:
        connection.execute(text("CREATE TEMP TABLE push_rules_generation (generation bigint)"))
        connection.execute(text("UPDATE push_users SET active = false"))

    assert store.generation() == before + 1


@contextlib.contextmanager
def writer_of_users(engine: Engine) -> Iterator[Connection]:
    """Give a transaction of a role that may write the users and nothing else."""
    role = f"push_writer_{uuid.uuid4().hex}"
    raw(engine, f"CREATE ROLE {role}", f"GRANT SELECT, UPDATE ON push_users TO {role}")
    try:
        with engine.begin() as connection:
            connection.execute(text(f"SET LOCAL ROLE {role}"))
            yield connection
    finally:
        raw(engine, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


# --- release N on schema N + 1 ---


def test_a_migration_leaves_the_columns_of_the_release_before_as_they_are(url: str) -> None:
    upgrade(url, "0001")
    with disposed(url) as engine:
        before = {name: inspect(engine).get_columns(name) for name in FIRST_RELEASE}

        upgrade(url)

        after = {name: inspect(engine).get_columns(name) for name in FIRST_RELEASE}
    assert list(map(repr, after.values())) == list(map(repr, before.values()))


def test_this_release_runs_on_tables_that_a_later_one_has_widened(url: str) -> None:
    tenant = a_tenant_with(a_rule(external_recipients=(an_external_recipient(),)))
    upgrade(url)
    with disposed(url) as engine:
        raw(
            engine,
            *(f"ALTER TABLE {name} ADD COLUMN later TEXT DEFAULT 'x'" for name in COUNTED),
            *(f"ALTER TABLE {name}_history ADD COLUMN later TEXT" for name in COUNTED),
            "ALTER TABLE push_history ADD COLUMN later TEXT",
            "CREATE TABLE push_later (id INTEGER PRIMARY KEY)",
            f"UPDATE {tables.VERSION_TABLE} SET version_num = '9999'",
        )
        store = SqlRulesStore(engine)

        store.apply([tenant])
        check(url)

        assert store.load().rules.tenants == (tenant,)
        assert store.load_as_of(tenant.tenant.tenant_id, store.generation()) == tenant
