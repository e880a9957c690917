"""`--help` is documentation: each command of `rules` and `db` shows an example of itself."""

import re
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from consumer.cli import app
from consumer.cli_db import db_app
from consumer.cli_rules.app import rules_app


def named(group: typer.Typer, name: str) -> list[tuple[str, str]]:
    return [
        (name, command.name or (command.callback.__name__ if command.callback else ""))
        for command in group.registered_commands
    ]


COMMANDS = [*named(rules_app, "rules"), *named(db_app, "db")]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_has_an_example_of_itself(words: tuple[str, str]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], terminal_width=200)

    examples = re.findall(r"Example: (?:PUSH_\S+ )?push-services (\S+) (\S+)", shown.stdout)
    assert shown.exit_code == 0
    assert words in examples


def options_of(example: str) -> set[str]:
    return set(re.findall(r"--[a-z-]+", example))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_options_of_an_example_are_options_of_the_command(words: tuple[str, str]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], terminal_width=200)

    text, _, options = shown.stdout.partition("Options:")
    used = {o for line in re.findall(r"Example: .*", text) for o in options_of(line)}
    assert used <= options_of(options)


HEAVY = "alembic babel confluent_kafka fastavro jinja2 psycopg pydantic rich sqlalchemy yaml"
LOADED_BY_HELP = f"""
import sys
sys.argv = ["push-services", "--help"]
from consumer.cli import main
try:
    main()
finally:
    print(*sorted(set("{HEAVY}".split()) & set(sys.modules)), file=sys.stderr)
"""


def test_help_answers_at_once_since_it_loads_nothing_heavy() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", LOADED_BY_HELP], capture_output=True, text=True, check=True
    )

    assert "Commands:" in shown.stdout
    assert shown.stderr.split() == []
