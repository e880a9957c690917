"""The ledger's tables: what migrations make is what the code declares, and two at once are safe."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError

from mailer import sql
from mailer.migrating import VERSION_TABLE, check, upgrade
from mailer.sql import ledger_engine
from schemas.errors import InvalidSettings, LedgerUnavailable, SchemaOutdated


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger 100%.db'}"
    return str(request.getfixturevalue("postgresql").url())


@contextmanager
def connected(url: str) -> Iterator[Engine]:
    engine = ledger_engine(url)
    yield engine
    engine.dispose()


def test_migrations_from_nothing_make_the_declared_tables(url: str) -> None:
    upgrade(url)

    with connected(url) as engine, engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"version_table": VERSION_TABLE, "compare_type": True},
        )
        assert compare_metadata(context, sql.metadata) == []


def test_the_declared_checks_are_in_the_database(url: str) -> None:
    upgrade(url)

    declared = {c.name for c in sql.deliveries.constraints if c.name is not None}
    with connected(url) as engine:
        found = {c["name"] for c in inspect(engine).get_check_constraints("push_deliveries")}
    assert declared - {"push_deliveries_pkey"} == found


def test_a_database_without_tables_is_outdated_and_names_the_command(url: str) -> None:
    with pytest.raises(SchemaOutdated, match="push-services db upgrade"):
        check(url)


def test_after_the_upgrade_the_tables_are_right(url: str) -> None:
    upgrade(url)

    check(url)


def test_a_second_upgrade_changes_nothing(url: str) -> None:
    upgrade(url)

    upgrade(url)

    check(url)


def test_tables_of_a_later_release_are_left_alone(url: str) -> None:
    upgrade(url)
    with connected(url) as engine, engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = 'ledger_9999'"))

    upgrade(url)

    check(url)


def test_an_upgrade_that_was_broken_off_left_nothing(url: str) -> None:
    with connected(url) as engine, engine.begin() as connection:
        connection.execute(text("CREATE TABLE push_deliveries (other INTEGER)"))

    with pytest.raises(LedgerUnavailable):
        upgrade(url)

    with connected(url) as engine:
        assert inspect(engine).get_table_names() == ["push_deliveries"]


def test_upgrades_at_the_same_time_wait_for_each_other(url: str) -> None:
    faults: list[Exception] = []

    def try_upgrade() -> None:
        try:
            upgrade(url)
        except LedgerUnavailable as error:
            faults.append(error)

    threads = [threading.Thread(target=try_upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    check(url)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param("'sent', NULL, 'x'", id="done with its bytes"),
        pytest.param("'waiting', NULL, NULL", id="waiting without bytes"),
        pytest.param("'claimed', NULL, 'x'", id="claimed without a lease"),
        pytest.param("'waiting', '2026-11-24 08:00:00', 'x'", id="a lease without a claim"),
        pytest.param("'lost', NULL, 'x'", id="a state nobody knows"),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused(url: str, state: str) -> None:
    upgrade(url)
    statement = text(
        "INSERT INTO push_deliveries (tenant_id, mail_id, event_id, rule_id, attempts,"
        " in_doubt_count, claim_number, next_attempt_at, expires_at, taken_in_at, record_topic,"
        " record_partition, record_offset, state, lease_until, value) VALUES ('t', 'm', 'e', 'r',"
        " 0, 0, 0, '2026-11-24 08:00:00', '2026-11-24 08:00:00', '2026-11-24 08:00:00', 'o', 0, 0,"
        f" {state})"
    )

    with connected(url) as engine, pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(statement)


@pytest.mark.parametrize("url", ["mysql://x/y", "not a url", "nothing+strange://x"])
def test_a_url_of_another_database_is_a_fault_of_the_settings(url: str) -> None:
    with pytest.raises(InvalidSettings):
        check(url)


def test_a_database_that_is_away_is_no_outdated_schema() -> None:
    with pytest.raises(LedgerUnavailable):
        check("postgresql://nobody@127.0.0.1:1/nothing")
