"""What the commands say: letters on stdout, everything else on stderr."""

import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from consumer.cli_tables import print_rows
from consumer.letters.showing import plain_summary

if TYPE_CHECKING:
    from consumer.letters.surveying import Summary, Survey

HEADINGS = ("Place", "Failed at", "Reason", "Origin", "Tenant", "Rule", "Redriven", "Detail")
EVERY = 2.0  # seconds between two words on progress


def print_letters(letters: "Sequence[Summary]", found: "Survey", *, as_json: bool) -> None:
    """Print letters, a line each."""
    plain = [plain_summary(each, redriven=each.at in found.redriven) for each in letters]
    if as_json:
        for each in plain:
            typer.echo(json.dumps(each, ensure_ascii=False))
    elif plain:
        print_rows(HEADINGS, [_row(each) for each in plain])


def _row(plain: dict[str, object]) -> tuple[str, ...]:
    words = ("place", "failed_at", "reason", "origin", "tenant", "rule")
    cells = (str(plain[word] or "-") for word in words)
    return (*cells, "yes" if plain["redriven"] else "no", str(plain["detail"]))


def say(line: str) -> None:
    """Say a line to the person, not to the program behind a pipe."""
    typer.echo(line, err=True)


class Progress:
    """Says how far it is, now and then: over itself on a terminal, else on lines of their own."""

    def __init__(self) -> None:
        self._said_at = time.monotonic()
        self._over = sys.stderr.isatty()
        self._open = False

    def reading(self, records: int) -> None:
        """Say how many records were read."""
        self._say("read {} records", records)

    def writing(self, done: int, of: int) -> None:
        """Say how many letters are back."""
        self._say("redrove {} of {} dead letters", done, of)

    def end(self) -> None:
        """Leave the terminal on a line of its own."""
        if self._open:
            typer.echo("", err=True)
            self._open = False

    def _say(self, words: str, *numbers: int) -> None:
        if time.monotonic() - self._said_at < EVERY:
            return
        self._said_at = time.monotonic()
        line = words.format(*numbers)
        typer.echo(f"\r{line} " if self._over else line, err=True, nl=not self._over)
        self._open = self._over
