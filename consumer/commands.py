"""What every command does alike: read the settings, and turn an error into lines and a code.

What takes its time to load is imported where it is used, so that `--help` answers at once.
"""

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from schemas.errors import Fatal, InvalidInput, InvalidSettings

if TYPE_CHECKING:
    from consumer.settings import Settings


def settings_or_exit(required: Collection[str] = ()) -> "Settings":
    """Read the settings from the environment, or end the command with a line for each fault."""
    from consumer.settings import load_settings

    with fatal_errors():
        return load_settings(os.environ, required=required, check_kafka=_faults_in)


@contextmanager
def fatal_errors() -> Iterator[None]:
    """End the command with an exit code and one line on stderr for each fault of a `Fatal`.

    Faults in a file already start with the file's name and line, as editors want them.
    """
    try:
        yield
    except InvalidInput as error:
        _complain("", error.faults)
        raise typer.Exit(error.exit_code) from None
    except InvalidSettings as error:
        _complain("push-services: ", error.faults)
        raise typer.Exit(error.exit_code) from None
    except Fatal as error:
        _complain("push-services: ", [str(error)])
        raise typer.Exit(error.exit_code) from None


def _complain(start: str, faults: Sequence[str]) -> None:
    for fault in faults:
        typer.echo(f"{start}{fault}", err=True)


def _faults_in(properties: Mapping[str, str]) -> Sequence[str]:
    from consumer.kafka_clients import client_logger, faults_in

    with _silent(client_logger):
        return faults_in(properties)


@contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    """Keep a client that is only tried out from logging: its faults are what is told."""
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False
