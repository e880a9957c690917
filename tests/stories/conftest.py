"""`push-services` on a database of its own, and a rules file, for the stories about rules."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from consumer.cli import app
from mailer.migrating import upgrade as upgrade_ledger
from rules_store.migrating import upgrade as upgrade_rules
from tests.stories.command import TWO_TENANTS, Push


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with two tenants."""
    file = tmp_path / "rules.yaml"
    file.write_text(TWO_TENANTS, "utf-8")
    return file


@pytest.fixture(scope="session")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file with empty tables: a copy of it is made faster than a migration."""
    file = tmp_path_factory.mktemp("upgraded") / "push.db"
    upgrade_rules(f"sqlite:///{file}")
    upgrade_ledger(f"sqlite:///{file}")
    return file


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)],
)
def push(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    upgraded: Path,
) -> Push:
    """Return `push-services` with an empty, upgraded database."""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").url()
        upgrade_rules(url)
        upgrade_ledger(url)
        return pushing(url, monkeypatch)
    shutil.copy(upgraded, tmp_path / "push.db")
    return pushing(f"sqlite:///{tmp_path / 'push.db'}", monkeypatch)


@pytest.fixture
def push_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upgraded: Path) -> Push:
    """Return `push-services` with an empty, upgraded SQLite file, to be written past it."""
    shutil.copy(upgraded, tmp_path / "push.db")
    return pushing(f"sqlite:///{tmp_path / 'push.db'}", monkeypatch)


@pytest.fixture
def push_without_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Push:
    """Return `push-services` with a database that is not there."""
    return pushing(f"sqlite:///{tmp_path / 'push.db'}", monkeypatch)


def pushing(url: str, monkeypatch: pytest.MonkeyPatch) -> Push:
    """Return `push-services` with this database."""
    monkeypatch.setenv("PUSH_DATABASE_URL", url)

    def push(*words: str, input: str | bytes | None = None) -> Result:  # noqa: A002  # as the runner calls it
        return CliRunner().invoke(app, list(words), input=input)

    return push
