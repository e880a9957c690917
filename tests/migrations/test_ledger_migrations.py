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

from mailer import tables
from mailer.migrating import VERSION_TABLE, check, downgrade, upgrade
from mailer.sql import SqlLedger
from mailer.tables import ledger_engine
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
        assert compare_metadata(context, tables.metadata) == []


def test_the_declared_checks_are_in_the_database(url: str) -> None:
    upgrade(url)

    declared = {c.name for c in tables.deliveries.constraints if c.name is not None}
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


_ROW = (
    "INSERT INTO push_deliveries (tenant_id, mail_id, event_id, rule_id, attempts, in_doubt_count,"
    " claim_number, next_attempt_at, expires_at, taken_in_at, record_topic, record_partition,"
    " record_offset, state, lease_until, value, fate) VALUES ('t', :mail, 'e', 'r', :attempts, 1,"
    " 2, '2026-11-24 08:00:00', '2026-11-25 08:00:00', '2026-11-24 07:00:00', 'o', 0, 7,"
    " :state, NULL, :value, :fate)"
)
_OLD: list[dict[str, object]] = [
    {"mail": "m-1", "state": "waiting", "value": b"bytes", "fate": "deferred", "attempts": 3},
    {"mail": "m-2", "state": "waiting", "value": b"bytes", "fate": None, "attempts": 0},
    {"mail": "m-3", "state": "failed", "value": None, "fate": "given_up", "attempts": 12},
    {"mail": "m-4", "state": "sent", "value": None, "fate": "sent", "attempts": 1},
]


def rows(engine: Engine, columns: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT {columns} FROM push_deliveries ORDER BY mail_id"))
        return [tuple(row) for row in found]


def test_mails_of_the_version_before_come_along(url: str) -> None:
    upgrade(url, "ledger_0001")
    with connected(url) as engine, engine.begin() as connection:
        connection.execute(text(_ROW), _OLD)

    upgrade(url)

    with connected(url) as engine:
        assert rows(engine, "mail_id, state, fate, attempts, in_doubt_count") == [
            ("m-1", "waiting", "deferred", 3, 1),
            ("m-2", "waiting", None, 0, 1),
            ("m-3", "failed", "expired", 12, 1),
            ("m-4", "sent", "sent", 1, 1),
        ]
        claims = SqlLedger(engine).claim("deliver-0", 9)
        assert [(claim.mail_id, claim.was_answered) for claim in claims] == [
            ("m-1", True),
            ("m-2", False),
        ]


def test_back_again_no_waiting_or_held_mail_is_lost_and_forward_again_they_are_there(
    url: str,
) -> None:
    upgrade(url)
    with connected(url) as engine, engine.begin() as connection:
        held = {"mail": "m-5", "state": "held", "value": b"bytes", "fate": "refused", "attempts": 1}
        trial = {"mail": "m-6", "state": "failed", "value": None, "fate": "refused", "attempts": 1}
        connection.execute(text(_ROW), [*_OLD, held, trial])
        connection.execute(
            text(
                "UPDATE push_deliveries SET trial_until = '2026-11-24 09:00:00', value = :value"
                " WHERE mail_id = 'm-6'"
            ),
            {"value": b"bytes"},
        )

    downgrade(url, "ledger_0001")

    states = ["waiting", "waiting", "failed", "sent", "held", "failed"]
    with connected(url) as engine:
        assert [row[0] for row in rows(engine, "state")] == states
        assert "push_suppressions" not in inspect(engine).get_table_names()
    upgrade(url)
    with connected(url) as engine:
        assert [row[0] for row in rows(engine, "state")] == states
        kept = [row[0] for row in rows(engine, "value IS NOT NULL")]
    assert [bool(value) for value in kept] == [True, True, False, False, True, False]
