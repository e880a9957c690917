import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from rules_store.migrating import upgrade
from rules_store.snapshot import Snapshot
from rules_store.sql import SqlRulesStore, engine_for
from schemas.errors import AccessDenied, InvalidSettings, SchemaOutdated, StoreUnavailable
from schemas.rules import ChosenAccounts, OnFileRejected, OnStatusUpdated
from schemas.vocabulary import DetailLevel, PaymentStatus, RuleId
from tests.builders import a_routing, a_rule, a_tenant, a_tenant_with, an_external_recipient

RawSql = Callable[[str], None]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rules.db"


@pytest.fixture
def store(file: Path) -> Iterator[SqlRulesStore]:
    upgrade(f"sqlite:///{file}")
    engine = engine_for(f"sqlite:///{file}")
    store = SqlRulesStore(engine)
    other = a_rule(rule_id=RuleId("r-other"), description="andere")
    store.apply([a_tenant_with(a_rule(external_recipients=(an_external_recipient(),)), other)])
    yield store
    engine.dispose()


@pytest.fixture
def raw(file: Path) -> RawSql:
    """Write as a client does that knows of no check and no foreign key."""

    def write(statement: str) -> None:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(statement)
            connection.commit()

    return write


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            "event_type = 'eds-order'", "event_type is none that this version knows", id="event"
        ),
        pytest.param(
            "detail_internal = 'most'",
            "detail_internal is none that this version knows",
            id="level",
        ),
        pytest.param("description = x'00ff'", "description is no text", id="blob"),
        pytest.param(
            "description = CAST(x'ff41' AS TEXT)", "description is no text", id="no UTF-8"
        ),
    ],
)
def test_a_rule_that_cannot_be_meant_disables_itself_and_the_others_go_on(
    store: SqlRulesStore,
    raw: RawSql,
    change: str,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    raw(f"UPDATE push_rules SET {change} WHERE rule_id = 'r-every-status'")

    loaded = store.load()

    assert [rejected.reason for rejected in loaded.rejected] == [reason]
    snapshot = Snapshot.compile(loaded.rules, loaded.rejected)
    assert [wanted.rule.rule_id for wanted in snapshot.wanting(a_routing())] == ["r-other"]
    assert snapshot.rejected_rules == 1
    assert [record.getMessage() for record in caplog.records] == ["rule_rejected"]


def test_a_rejected_rule_is_repaired_by_applying_it_again(
    store: SqlRulesStore, raw: RawSql
) -> None:
    wanted = a_tenant_with(a_rule())
    raw("UPDATE push_rules SET event_type = 'eds-order'")

    store.apply([wanted])

    assert store.load().rules.tenants == (wanted,)


def test_statuses_that_cannot_be_ticked_are_ignored(store: SqlRulesStore, raw: RawSql) -> None:
    raw("DELETE FROM push_rule_statuses WHERE status <> 'FIN_REJECTED'")
    raw("INSERT INTO push_rule_statuses VALUES ('m-10482', 'r-every-status', 'KON_REJECTED')")
    raw("INSERT INTO push_rule_statuses VALUES ('m-10482', 'r-every-status', 'FIN_NEW')")

    trigger = store.load().rules.tenants[0].rules[0].trigger

    assert isinstance(trigger, OnStatusUpdated)
    assert trigger.ticked == {PaymentStatus.FIN_REJECTED}


def test_no_account_row_and_no_flag_means_no_account(store: SqlRulesStore, raw: RawSql) -> None:
    raw("UPDATE push_rules SET all_accounts = false")

    trigger = store.load().rules.tenants[0].rules[0].trigger

    assert isinstance(trigger, OnStatusUpdated)
    assert trigger.accounts == ChosenAccounts(frozenset())


def test_statuses_and_accounts_of_a_rule_for_rejected_files_are_ignored(
    store: SqlRulesStore, raw: RawSql
) -> None:
    raw("UPDATE push_rules SET event_type = 'payment-file-rejected'")

    assert store.load().rules.tenants[0].rules[0].trigger == OnFileRejected()


def test_full_is_lowered_for_externals(store: SqlRulesStore, raw: RawSql) -> None:
    raw("UPDATE push_rules SET detail_external = 'full'")

    assert store.load().rules.tenants[0].rules[0].detail_external is DetailLevel.STANDARD


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE push_users SET language = 'fr', email = x'ff'",
        "UPDATE push_bank_accounts SET iban = 'DE00', description = 7",
        "UPDATE push_tenants SET language = ''",
        "UPDATE push_rule_external_recipients SET verified_at = 'yesterday', language = 'xx'",
        "INSERT INTO push_users VALUES ('nobody', 'u', 'N', NULL, NULL, 1)",
        "INSERT INTO push_rule_accounts VALUES ('m-10482', 'r-gone', 'acc')",
    ],
)
def test_rows_that_cannot_be_meant_keep_no_rule_from_loading(
    store: SqlRulesStore, raw: RawSql, change: str
) -> None:
    raw(change)

    loaded = store.load()

    assert loaded.rejected == ()
    assert len(loaded.rules.tenants[0].rules) == 2


def test_when_an_address_was_verified_is_kept_while_its_rule_changes(
    store: SqlRulesStore, raw: RawSql
) -> None:
    raw("UPDATE push_rule_external_recipients SET verified_at = '2026-03-01T12:00:00+01:00'")
    changed = a_rule(subject="neu", external_recipients=(an_external_recipient(),))

    store.apply([a_tenant_with(changed)])

    (kept,) = store.load().rules.tenants[0].rules[0].external_recipients
    assert kept.verified_at is not None
    assert kept.verified_at.isoformat() == "2026-03-01T11:00:00+00:00"


def test_another_spelling_of_the_same_recipients_is_no_change(
    store: SqlRulesStore, raw: RawSql
) -> None:
    raw("UPDATE push_rule_external_recipients SET address = 'steuer@Kanzlei.EXAMPLE; ;'")
    raw("UPDATE push_rule_external_recipients SET position = 9")
    raw("UPDATE push_users SET email = ' anna@MUSTER.example'")
    other = a_rule(rule_id=RuleId("r-other"), description="andere")
    wanted = a_tenant_with(a_rule(external_recipients=(an_external_recipient(),)), other)

    assert store.compare([wanted]) == ()


def test_a_store_without_tables_is_outdated(file: Path) -> None:
    engine = engine_for(f"sqlite:///{file}")

    with pytest.raises(SchemaOutdated):
        SqlRulesStore(engine).generation()

    engine.dispose()


def test_a_file_that_is_no_database_is_no_answer_and_never_no_rules(file: Path) -> None:
    file.write_bytes(b"this is no database at all, but long enough to look at" * 20)
    engine = engine_for(f"sqlite:///{file}")

    with pytest.raises(StoreUnavailable):
        SqlRulesStore(engine).load()

    engine.dispose()


def test_a_server_that_is_away_is_no_answer_and_its_url_is_not_told() -> None:
    engine = engine_for("postgresql://user:secret@127.0.0.1:1/rules")

    with pytest.raises(StoreUnavailable) as caught:
        SqlRulesStore(engine).load()

    assert "secret" not in str(caught.value)
    engine.dispose()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="empty"),
        pytest.param("rules.db", id="a path"),
        pytest.param("mysql://root:secret@db/rules", id="another database"),
        pytest.param("postgresql://user:secret@db:port/rules", id="a port that is none"),
    ],
)
def test_another_url_is_a_wrong_setting_and_is_not_told(url: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        engine_for(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_postgresql_url_needs_no_driver_name(scheme: str) -> None:
    engine = engine_for(f"{scheme}://db.example/rules?connect_timeout=9")

    assert engine.url.drivername == "postgresql+psycopg"
    assert engine.url.query["connect_timeout"] == "9"  # what is given wins


def test_readers_go_on_while_somebody_writes(store: SqlRulesStore, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM push_rules")

        seen = store.load()

        writer.execute("ROLLBACK")
    assert len(seen.rules.tenants[0].rules) == 2


@pytest.mark.postgresql
def test_missing_rights_are_fatal(request: pytest.FixtureRequest) -> None:
    url, role = request.getfixturevalue("postgresql").url(), f"push_{uuid.uuid4().hex}"
    upgrade(url)
    engine = engine_for(url)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role}"))
    denied = engine_for(f"{url}?options=-crole%3D{role}")

    with pytest.raises(AccessDenied):
        SqlRulesStore(denied).generation()

    denied.dispose()
    with engine.begin() as connection:
        connection.execute(text(f"DROP ROLE {role}"))
    engine.dispose()


@pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def test_rules_and_generation_are_of_one_instant(
    request: pytest.FixtureRequest, file: Path, kind: str
) -> None:
    # Would catch: tables read one after another, each as of another instant.
    url = f"sqlite:///{file}" if kind == "sqlite" else request.getfixturevalue("postgresql").url()
    upgrade(url)
    engine = engine_for(url)
    store = SqlRulesStore(engine)
    store.apply([a_tenant_with(tenant=a_tenant(name="?"))])
    first = store.generation() + 1
    writer = threading.Thread(target=write_its_generation, args=(engine, first, first + 60))

    writer.start()
    loads = [store.load().rules for _ in range(60)]
    writer.join()
    loads.append(store.load().rules)

    names = [(loaded.tenants[0].tenant.name, str(loaded.generation)) for loaded in loads]
    assert [name for name, generation in names if name not in ("?", generation)] == []
    assert names[-1] == (str(first + 59), str(first + 59))
    engine.dispose()


def write_its_generation(engine: Engine, first: int, end: int) -> None:
    """Name the tenant after the generation that this very change forms, again and again."""
    for generation in range(first, end):
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            connection.execute(
                text("UPDATE push_tenants SET name = :name"), {"name": str(generation)}
            )
