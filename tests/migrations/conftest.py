"""A rules database of each kind, migrated and empty."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from rules_store.migrating import upgrade
from tests.migrations.raw_sql import disposed


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'rules.db'}"
    return str(request.getfixturevalue("postgresql").url())


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    upgrade(url)
    with disposed(url) as engine:
        yield engine


@pytest.fixture
def on_postgresql(request: pytest.FixtureRequest) -> Iterator[Engine]:
    url = request.getfixturevalue("postgresql").url()
    upgrade(url)
    with disposed(url) as engine:
        yield engine


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'rules.db'}"
    upgrade(url)
    with disposed(url) as engine:
        yield engine
