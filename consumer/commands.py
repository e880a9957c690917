"""What every command does alike: read the settings, and turn an error into lines and a code."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import typer

from consumer.settings import Settings, load_settings
from schemas.errors import Fatal, InvalidInput, InvalidSettings


def settings_or_exit(required: Collection[str] = ()) -> Settings:
    """Read the settings from the environment, or end the command with a line for each fault."""
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
    from consumer.kafka_clients import faults_in  # the client takes its time to load

    return faults_in(properties)
