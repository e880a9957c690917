"""What somebody changes past the triggers is found by the slow re-read, on both databases."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from rules_store.cache import ROUND, RulesCache
from rules_store.loading import SqlRulesSource
from rules_store.migrating import upgrade
from rules_store.sql import SqlRulesStore, engine_for
from tests.builders import a_routing, a_rule, a_tenant_with


@dataclass(slots=True)
class Seconds:
    """A clock one can set."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'rules.db'}"
    else:
        url = request.getfixturevalue("postgresql").url()
    upgrade(url)
    engine = engine_for(url)
    SqlRulesStore(engine).apply([a_tenant_with(a_rule())])
    yield engine
    engine.dispose()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def cache(engine: Engine, seconds: Seconds) -> Iterator[RulesCache]:
    cache = RulesCache(SqlRulesSource(engine), timedelta(hours=9), seconds)
    cache.start(threading.Event())
    yield cache
    cache.stop()


def past_the_triggers(engine: Engine, statement: str) -> None:
    """Change rows as a superuser can, or who drops a trigger in SQLite."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text(statement))
            return
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        triggers = connection.execute(text(query)).all()
        for name, _ in triggers:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.execute(text(statement))
        for _, definition in triggers:
            connection.exec_driver_sql(definition)


@pytest.mark.parametrize(
    ("statement", "wanting"),
    [
        pytest.param("UPDATE push_rules SET enabled = false", 0, id="a rule switched off"),
        pytest.param("UPDATE push_rules SET subject = 'neu'", 1, id="a subject changed"),
        pytest.param("DELETE FROM push_tenants", 0, id="a tenant deleted"),
    ],
)
def test_a_change_that_no_trigger_told_is_healed(
    engine: Engine, cache: RulesCache, seconds: Seconds, statement: str, wanting: int
) -> None:
    past_the_triggers(engine, statement)
    cache.refresh()
    before = cache.current()
    assert len(before.wanting(a_routing())) == 1

    for _ in range(3):
        seconds.now += ROUND.total_seconds()
        cache.reread()

    assert len(cache.current().wanting(a_routing())) == wanting
    assert cache.current().wanting(a_routing()) != before.wanting(a_routing())
    assert (cache.healed, cache.generation) == (1, before.generation)


def test_a_generation_whose_history_is_lost_is_healed(
    engine: Engine, cache: RulesCache, seconds: Seconds
) -> None:
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.execute(text("UPDATE push_rules SET enabled = false"))
    past_the_triggers(engine, "DELETE FROM push_rules_history")
    cache.refresh()
    assert len(cache.current().wanting(a_routing())) == 1

    for _ in range(3):
        seconds.now += ROUND.total_seconds()
        cache.reread()

    assert cache.current().wanting(a_routing()) == ()
    assert cache.healed == 1


def test_a_tenant_whose_id_is_no_text_holds_up_no_other(tmp_path: Path, seconds: Seconds) -> None:
    # Would catch: a refresh or a re-read that ends for good where SQLite holds bytes as an id.
    url = f"sqlite:///{tmp_path / 'rules.db'}"
    upgrade(url)
    engine = engine_for(url)
    SqlRulesStore(engine).apply([a_tenant_with(a_rule())])
    cache = RulesCache(SqlRulesSource(engine), timedelta(hours=9), seconds)
    cache.start(threading.Event())
    with closing(sqlite3.connect(tmp_path / "rules.db")) as raw:
        for spoilt in ("x'00ff'", "CAST(x'ff41' AS TEXT)"):
            raw.execute(f"INSERT INTO push_tenants (tenant_id, name) VALUES ({spoilt}, 'Eins')")
        raw.execute("UPDATE push_rules SET subject = 'neu'")
        raw.commit()

    cache.refresh()
    for _ in range(3):
        seconds.now += ROUND.total_seconds()
        cache.reread()

    (wanted,) = cache.current().wanting(a_routing())
    assert wanted.rule.subject == "neu"
    assert cache.load_failures == 0
    cache.stop()
    engine.dispose()
