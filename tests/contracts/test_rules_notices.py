"""PostgreSQL's notices wake a cache, through a real server and through one that passes none on."""

import logging
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest
from sqlalchemy import Engine, event, text

from rules_store import notices as module
from rules_store.migrating import upgrade
from rules_store.notices import Notices
from rules_store.sql import engine_for
from tests.real.postgresql import PostgreSQL
from tests.real.waiting import wait_until

pytestmark = pytest.mark.postgresql


@pytest.fixture
def engine(postgresql: PostgreSQL) -> Iterator[Engine]:
    url = postgresql.url()
    upgrade(url)
    engine = engine_for(url)
    yield engine
    engine.dispose()


@pytest.fixture
def listening(engine: Engine) -> Iterator[Callable[[], tuple[Notices, threading.Event]]]:
    started: list[Notices] = []

    def start() -> tuple[Notices, threading.Event]:
        woken = threading.Event()
        started.append(Notices(engine, woken.set))
        started[-1].start()
        return started[-1], woken

    yield start
    for notices in started:
        notices.stop()


Listening = Callable[[], tuple[Notices, threading.Event]]


def change(engine: Engine, name: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO push_tenants (tenant_id, name) VALUES (:name, :name)"), {"name": name}
        )


def test_a_committed_change_wakes(engine: Engine, listening: Listening) -> None:
    notices, woken = listening()
    wait_until(lambda: notices.is_heard, "notices come")
    assert woken.wait(5)  # once at the start, for what was missed until then
    woken.clear()

    change(engine, "m-1")

    assert woken.wait(5)


def test_a_lost_connection_is_made_anew_and_wakes_for_what_was_missed(
    engine: Engine, listening: Listening
) -> None:
    notices, woken = listening()
    wait_until(lambda: notices.is_heard, "notices come")
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        )
    wait_until(lambda: not notices.is_heard, "the connection is known to be lost")
    woken.clear()
    change(engine, "m-2")

    assert woken.wait(2 * module.PAUSE)
    assert notices.is_heard


def test_where_no_notice_comes_the_log_names_pgbouncer_and_polling_goes_on(
    deaf: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    notices = Notices(deaf, lambda: None)

    notices.start()
    wait_until(lambda: not notices._thread.is_alive(), "the listening has ended")

    (said,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert said.getMessage() == "rules_notices_silent"
    assert "PgBouncer" in said.__dict__["detail"]
    assert not notices.is_heard


@pytest.fixture
def deaf(postgresql: PostgreSQL) -> Iterator[Engine]:
    """An engine whose LISTEN is forgotten at once, as behind a pooler in transaction mode."""
    engine = engine_for(postgresql.url())

    @event.listens_for(engine, "after_cursor_execute")
    def forget(_connection: object, cursor: psycopg.Cursor, statement: str, *_: object) -> None:
        if statement.startswith("LISTEN"):
            cursor.execute("UNLISTEN *")

    yield engine
    engine.dispose()
