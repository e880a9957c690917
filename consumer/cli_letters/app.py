"""`push-services dead-letters`: its commands, by what people come for."""

import typer

from consumer.cli_letters.looking import list_letters, show
from consumer.cli_letters.redriving import redrive

letters_app = typer.Typer(
    help="Records and rules' shares that no retry helped: look at them, put them back.",
    no_args_is_help=True,
)
letters_app.command("list")(list_letters)
letters_app.command()(show)
letters_app.command()(redrive)
