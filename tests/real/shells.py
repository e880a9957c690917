"""The shells of PostgreSQL and SQLite, as people and scripts use them."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class Refused(Exception):
    """The database refused a statement; the text is what the shell said."""


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs SQL against one database and stops at the first statement that is refused."""

    command: Sequence[str]

    def run(self, sql: str) -> str:
        """Run statements and return the rows they gave, columns parted by `|`."""
        done = subprocess.run(
            self.command, input=sql, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            raise Refused(done.stderr.strip())
        return done.stdout


def psql(program: Path, url: str) -> Shell:
    """Return PostgreSQL's shell on a database."""
    return Shell([str(program), *["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"], "-f", "-", url])


def sqlite3(program: Path, file: Path) -> Shell:
    """Return SQLite's shell on a file."""
    return Shell([str(program), "-batch", "-bail", str(file)])
