"""Rows for people: a table on a terminal, columns of plain text where the output is piped."""

import sys
from collections.abc import Sequence

import typer


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under one another. Piped, there are no headings and no colours: grep can read it.

    Control characters must be gone from the words already; nothing in them is taken for markup.
    """
    if sys.stdout.isatty():
        _print_table(headings, rows)
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (word.ljust(width) for word, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)
