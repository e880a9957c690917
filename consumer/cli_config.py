"""`push-services config`: which settings are in force, and where each came from."""

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.commands import settings_or_exit

if TYPE_CHECKING:
    from consumer.settings import Winning

config_app = typer.Typer(help="Settings: what is in force, and where it came from.")


@config_app.callback()
def config() -> None:
    """Look at the settings."""


@config_app.command()
def show(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, for programs.")] = False,
) -> None:
    """Print every setting in force and where it came from, secrets masked."""
    from consumer.settings import winning_sources

    settings_or_exit()
    settings = winning_sources(os.environ)
    typer.echo(_as_json(settings) if as_json else _as_text(settings))


@config_app.command()
def example() -> None:
    """Print a file of every setting with its default, to start from."""
    from consumer.settings_documents import example_env

    typer.echo(example_env(), nl=False)


def _as_json(settings: "Sequence[Winning]") -> str:
    return json.dumps(
        [{"name": s.name, "value": s.shown or None, "source": s.source} for s in settings],
        ensure_ascii=False,
        indent=2,
    )


def _as_text(settings: "Sequence[Winning]") -> str:
    rows = [(s.name, s.shown or "(not set)", s.source) for s in settings]
    names, shown = (max(len(row[column]) for row in rows) for column in (0, 1))
    shown = min(shown, 48)  # a long value moves its own source, not everybody's
    return "\n".join(f"{name:{names}}  {value:{shown}}  {source}" for name, value, source in rows)
