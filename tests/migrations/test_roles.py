"""The roles of deploy/sql/roles.sql on a real server: each may do its part and nothing else."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from mailer.migrating import check as check_ledger
from mailer.migrating import upgrade as upgrade_ledger
from rules_store import tables
from rules_store.history_tables import HISTORY
from rules_store.migrating import check, upgrade
from rules_store.sql import SqlRulesStore
from schemas.errors import AccessDenied
from schemas.vocabulary import Generation, RuleId, TenantId
from tests.builders import a_rule, a_tenant_with
from tests.migrations.raw_sql import RULE, UPDATED, disposed, filled, raw
from tests.real import shells
from tests.real.postgresql import PostgreSQL

pytestmark = pytest.mark.postgresql

SCRIPT = Path(__file__).parents[2] / "deploy/sql/roles.sql"
WORKER, ADMIN, DELIVERY = "push_worker", "push_admin", "push_delivery"
RULES = [table.name for table in tables.COUNTED]
KEPT = ["push_history", *(kept.name for kept in HISTORY.values())]


@dataclass(frozen=True, slots=True)
class Database:
    """A database with rules, a ledger and the roles; `logins` lead in as one role each."""

    owner: str
    logins: Mapping[str, str]


@pytest.fixture(scope="module")
def database(postgresql: PostgreSQL, psql: Path) -> Iterator[Database]:
    owner = postgresql.url()
    upgrade(owner)
    upgrade_ledger(owner)
    with disposed(owner) as engine:
        filled(engine)
        run_script(psql, owner)
        logins = {role: login(engine, owner, role) for role in (WORKER, ADMIN, DELIVERY)}
        yield Database(owner, logins)
        raw(engine, *(f"DROP ROLE {make_url(url).username}" for url in logins.values()))
        raw(engine, *(f"DROP OWNED BY {role}" for role in logins))


def run_script(psql: Path, url: str) -> None:
    shells.psql(psql, url).run(SCRIPT.read_text(encoding="utf-8"))


def login(engine: Engine, owner: str, role: str) -> str:
    """Create a login with a role and return the URL it comes in by."""
    name, password = f"{role}_{secrets.token_hex(4)}", secrets.token_hex(8)
    raw(engine, f"CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE {role}")
    url = make_url(owner).set(username=name, password=password)
    return url.render_as_string(hide_password=False)


def every(statement: str, names: list[str]) -> list[object]:
    """Return the statement about each of these tables as a parameter of a test."""
    return [pytest.param(statement.format(name), id=statement.format(name)) for name in names]


def refused(database: Database, role: str, statement: str) -> None:
    said = r"permission denied|must be owner"
    with disposed(database.logins[role]) as engine, pytest.raises(ProgrammingError, match=said):
        raw(engine, statement)


def ledger_tables(engine: Engine) -> list[str]:
    """Return the tables that the ledger's migrations have made."""
    ours = {*tables.metadata.tables, tables.VERSION_TABLE, "push_rules_changes"}
    with engine.connect() as connection:
        found = connection.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        )
        return sorted(set(found) - ours)


# --- what each may do ---


@pytest.mark.parametrize("role", [WORKER, ADMIN, DELIVERY])
def test_each_may_check_the_tables_before_it_starts(database: Database, role: str) -> None:
    check(database.logins[role])
    check_ledger(database.logins[role])


def test_the_worker_reads_rules_and_history(database: Database) -> None:
    with disposed(database.logins[WORKER]) as engine:
        store = SqlRulesStore(engine)
        raw(engine, f"LISTEN {tables.CHANNEL}")

        loaded = store.load()

        tenant_id = TenantId("m")
        assert store.load_as_of(tenant_id, loaded.rules.generation) is not None
        assert store.versions(tenant_id, Generation(0)) != ()


def test_the_admin_writes_rules_by_our_commands_and_by_its_own(database: Database) -> None:
    with disposed(database.logins[ADMIN]) as engine:
        store = SqlRulesStore(engine, changed_by="Eva (Support)")
        before = store.generation()

        store.apply([a_tenant_with(a_rule())])
        store.delete_rule(a_rule().tenant_id, RuleId("r-every-status"))
        raw(engine, *(f"UPDATE {name} SET tenant_id = tenant_id" for name in RULES))

        assert store.generation() == before + 3
        (*_, last) = store.versions(TenantId("m"), before)
        assert (last.database_user or "").startswith(ADMIN)


def test_delivery_writes_its_ledger(database: Database) -> None:
    with disposed(database.owner) as owner:
        names = [name for name in ledger_tables(owner) if not name.endswith("_version")]
    with disposed(database.logins[DELIVERY]) as engine:
        for name in names:
            raw(
                engine,
                f"INSERT INTO {name} SELECT * FROM {name}",
                f"UPDATE {name} SET tenant_id = tenant_id",
                f"DELETE FROM {name}",
            )

    assert "push_deliveries" in names


def test_every_table_is_somebodys(database: Database) -> None:
    """A table that a migration adds and the script forgets would stop a daemon at its upgrade."""
    granted = text(
        "SELECT DISTINCT table_name FROM information_schema.role_table_grants"
        " WHERE grantee IN ('push_worker', 'push_admin', 'push_delivery')"
    )
    with disposed(database.owner) as engine, engine.connect() as connection:
        found = set(connection.scalars(granted))
        ledger = ledger_tables(engine)

    assert found == {*tables.metadata.tables, tables.VERSION_TABLE, *ledger}


# --- what none may do ---


@pytest.mark.parametrize("role", [WORKER, ADMIN, DELIVERY])
@pytest.mark.parametrize(
    "statement",
    [
        *every("ALTER TABLE {} DISABLE TRIGGER ALL", [*RULES, "push_rules_changes"]),
        *every("DROP TABLE {} CASCADE", [*RULES, *KEPT, "push_rules_generation"]),
        *every("TRUNCATE {} CASCADE", [*RULES, *KEPT, "push_rules_generation"]),
        *every("DELETE FROM {}", [*KEPT, "push_rules_generation", "push_rules_changes"]),
        *every("UPDATE {} SET change_set = 0", [*KEPT, "push_rules_changes"]),
        *every(
            "INSERT INTO {} (tenant_id, entry, change_set, is_deleted) VALUES ('m', 0, 0, false)",
            KEPT[1:],
        ),
        "INSERT INTO push_history VALUES (1000, 1000, now(), 'me', 'me')",
        "UPDATE push_rules_generation SET generation = 0",
        "INSERT INTO push_rules_changes VALUES ('1', 1)",
        "SELECT * FROM push_rules_changes",
        "SELECT push_change_set()",
        "SELECT nextval('push_history_numbers')",
        "DROP TRIGGER push_keep_update ON push_rules",
        "CREATE TRIGGER mine AFTER INSERT ON push_rules EXECUTE FUNCTION push_keep_rules()",
        "ALTER FUNCTION push_keep_rules() RENAME TO push_keep_nothing",
        "SET session_replication_role = replica",
        "CREATE TABLE mine (id integer)",
        "CREATE TABLE mine (id text REFERENCES push_tenants)",
        "DELETE FROM push_alembic_version",
        "DELETE FROM push_ledger_alembic_version",
    ],
)
def test_none_touches_tables_triggers_counter_or_history(
    database: Database, role: str, statement: str
) -> None:
    refused(database, role, statement)


@pytest.mark.parametrize("role", [WORKER, ADMIN, DELIVERY])
def test_none_can_write_history_by_a_trigger_on_a_table_of_its_own(
    database: Database, role: str
) -> None:
    with disposed(database.logins[role]) as engine, engine.connect() as connection:
        connection.execute(text("CREATE TEMP TABLE mine (tenant_id text, rule_id text)"))

        with pytest.raises(ProgrammingError, match="permission denied for function"):
            connection.execute(
                text(
                    "CREATE TRIGGER mine AFTER DELETE ON mine REFERENCING OLD TABLE AS there_before"
                    " FOR EACH STATEMENT EXECUTE FUNCTION push_keep_rules()"
                )
            )


@pytest.mark.parametrize("role", [WORKER, DELIVERY])
@pytest.mark.parametrize(
    "statement",
    [
        *every("DELETE FROM {}", RULES),
        *every("UPDATE {} SET tenant_id = tenant_id", RULES),
        "INSERT INTO push_tenants (tenant_id, name) VALUES ('n', 'N')",
        f"{RULE} ('m', 'q', 'Q', '{UPDATED}')",
    ],
)
def test_only_the_admin_writes_rules(database: Database, role: str, statement: str) -> None:
    refused(database, role, statement)


@pytest.mark.parametrize("role", [WORKER, ADMIN])
@pytest.mark.parametrize(
    "statement", [*every("SELECT * FROM {}", ["push_deliveries"]), "DELETE FROM push_deliveries"]
)
def test_mails_are_deliverys_alone(database: Database, role: str, statement: str) -> None:
    refused(database, role, statement)


@pytest.mark.parametrize("statement", every("SELECT * FROM {}", [*RULES, *KEPT]))
def test_delivery_does_not_even_read_rules(database: Database, statement: str) -> None:
    refused(database, DELIVERY, statement)


def test_a_refusal_is_told_as_one(database: Database) -> None:
    with disposed(database.logins[WORKER]) as engine, pytest.raises(AccessDenied):
        SqlRulesStore(engine).apply([a_tenant_with(a_rule())])


def test_the_script_run_again_takes_back_what_was_given_besides(
    database: Database, psql: Path
) -> None:
    with disposed(database.owner) as owner:
        raw(owner, "GRANT DELETE, TRIGGER ON push_history, push_rules TO push_admin")

    run_script(psql, database.owner)

    refused(database, ADMIN, "DELETE FROM push_history")
    refused(database, ADMIN, "CREATE TRIGGER mine AFTER DELETE ON push_rules EXECUTE FUNCTION f()")
