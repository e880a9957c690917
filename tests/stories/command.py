"""`push-services` as a test calls it, and two tenants to call it with."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

from typer.testing import Result

TWO_TENANTS = """\
version: 1
tenants:
  - id: m-1
    name: Muster
    users:
      - {id: u-anna, name: Anna Beispiel, email: anna@muster.example}
      - {id: u-ben, name: Ben Beispiel}
    bank_accounts:
      - {id: acc-1, iban: DE89370400440532013000, description: Hauptkonto}
    rules:
      - id: r-rejected
        description: Abgelehnte Dateien
        event: payment-file-rejected
        subject: "Abgelehnt: {{ rule }}"
        internal_recipients: [u-anna, u-ben]
        external_recipients: [{email: steuer@kanzlei.example, language: en}]
      - id: r-accounts
        description: Nicht ausgeführt
        event: payment-status-updated
        preset: not_executed
        bank_accounts: [acc-1]
        internal_recipients: [u-anna]
  - id: m-2
    name: Andere
    users:
      - {id: u-anna, name: Andere Anna, email: anna@andere.example}
    rules:
      - id: r-rejected
        description: Abgelehnte Dateien
        event: payment-file-rejected
        internal_recipients: [u-anna]
"""


class Push(Protocol):
    """Calls `push-services` with these words."""

    def __call__(self, *words: str, input: str | bytes | None = None) -> Result:  # noqa: A002  # as the runner calls it
        """Return exit code, stdout and stderr."""


def raw(tmp_path: Path, statement: str) -> None:
    """Write past push-services into its SQLite file, as any client may."""
    with closing(sqlite3.connect(tmp_path / "push.db")) as connection:
        connection.execute(statement)
        connection.commit()
