"""`push-services`: a function for each command; what a command needs is imported inside it."""

import sys
from typing import Annotated

import typer

from consumer.cli_bounces import bounces_app
from consumer.cli_config import config_app
from consumer.cli_db import db_app
from consumer.cli_deliveries import deliveries_app, suppressions_app
from consumer.cli_letters.app import letters_app
from consumer.cli_preview import preview, templates_app
from consumer.cli_rules.app import rules_app
from consumer.commands import fatal_errors, settings_or_exit

app = typer.Typer(
    name="push-services",
    help="Turn payment events into e-mails by the rules of many tenants, exactly once.",
    epilog="Settings are PUSH_… variables: see `push-services config show`. "
    "Try it without any: `push-services demo`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 100},  # examples stay on one line
    rich_markup_mode=None,  # loading Rich would double the time that `--help` takes
)
app.add_typer(rules_app, name="rules")
app.add_typer(db_app, name="db")
app.add_typer(config_app, name="config")
app.add_typer(letters_app, name="dead-letters")
app.add_typer(deliveries_app, name="deliveries")
app.add_typer(suppressions_app, name="suppressions")
app.add_typer(bounces_app, name="bounces")
app.add_typer(templates_app, name="templates")
app.command()(preview)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version as version_of

        typer.echo(version_of("push-services"))
        raise typer.Exit


@app.callback()
def push_services(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Turn payment events into e-mails by the rules of many tenants, exactly once."""


@app.command()
def run(
    *,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="earliest|latest|committed|OFFSET",
            help="Where to begin with partitions whose place is lost; the others go on. committed: "
            "go back to committed offsets that lie before what is settled.",
        ),
    ] = None,
) -> None:
    """Turn payment events into outgoing-mail records until told to stop.

    Reads both payment topics, asks the tenants' rules, and writes mails, dead letters and
    evaluations in one transaction with the offsets. Needs PUSH_KAFKA_BOOTSTRAP_SERVERS and
    PUSH_MAIL_FROM. Brokers or a database that are away are waited for.

    A partition that was read before and has no committed offset any more stops it (78): say with
    --from where to go on. Offsets that were reset to before what is settled are not believed: go
    back there with --from committed. Events that come a second time make no second mail while
    their ids are known (PUSH_REPEATS_WINDOW).

    Exit codes: 0 stopped by SIGTERM or SIGINT, 70 fatal, 78 wrong settings.
    """
    from consumer.settings import REQUIRED_BY_RUN

    settings = settings_or_exit(REQUIRED_BY_RUN)
    with fatal_errors():
        from consumer import wiring
        from consumer.restoring import read_start

        wiring.run(settings, None if from_ is None else read_start(from_))


@app.command()
def deliver() -> None:
    """Hand outgoing mails to the mail server until told to stop.

    Takes the records of the outgoing-mail topic into the ledger, then gives each mail to the mail
    server, again and again where that is due. Needs PUSH_KAFKA_BOOTSTRAP_SERVERS and
    PUSH_SMTP_HOST. Brokers, a database or a mail server that are away are waited for.

    Exit codes: 0 stopped by SIGTERM or SIGINT, 70 fatal, 78 wrong settings.
    """
    from consumer.settings import REQUIRED_BY_DELIVER

    settings = settings_or_exit(REQUIRED_BY_DELIVER)
    with fatal_errors():
        from consumer import delivery_wiring

        delivery_wiring.deliver(settings)


@app.command()
def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Stop when all is delivered, and say if it was right.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port of the inbox's page.", min=0, max=65535)] = 8025,
) -> None:
    """Show it all at work on this machine: no broker, database or mail server needed.

    Starts an embedded broker (for this demo only), a rules database in a temporary folder, both
    daemons and an inbox with a web page, and feeds them made-up events. Ctrl-C ends it and leaves
    nothing behind.
    """
    settings_or_exit()
    with fatal_errors():
        from consumer.demo.running import run_demo

        raise typer.Exit(run_demo(once=once, http_port=port, out=sys.stdout))


def main() -> None:
    """Run the command line; an error that nobody foresaw ends with exit code 70."""
    try:
        app()
    except Exception as error:  # noqa: BLE001  the last line of defence
        _say_crashed(error)
        sys.exit(70)


def _say_crashed(error: Exception) -> None:
    """Name the error and its place, never its text: that may hold what no log may."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    place = f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last else "unknown place"
    typer.echo(f"push-services: crashed: {type(error).__name__} at {place}", err=True)


if __name__ == "__main__":
    main()
