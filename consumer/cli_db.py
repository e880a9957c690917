"""`push-services db`: the tables of rules and mails."""

import typer

from consumer.cli_rules.opening import told_errors
from consumer.commands import settings_or_exit

db_app = typer.Typer(help="The tables in the database.", no_args_is_help=True)


@db_app.command()
def upgrade() -> None:
    """Create the tables of rules and mails, or bring them to what this version needs.

    Nothing else migrates, so run it before the first start and before each new version. Running
    it twice, or two at once, does no harm.

    Example: PUSH_DATABASE_URL=postgresql://push@db.example/push push-services db upgrade
    """
    with told_errors():
        from mailer.migrating import upgrade as upgrade_ledger
        from rules_store.migrating import upgrade as upgrade_rules

        settings = settings_or_exit()
        upgrade_rules(settings.database_url.get_secret_value())
        upgrade_ledger(settings.ledger.get_secret_value())
        typer.echo("The tables are up to date.")


@db_app.command()
def check() -> None:
    """Check that the tables are those this version needs; change nothing.

    Example: push-services db check

    Exit codes: 0 they are, 70 no answer from the database, 78 they are missing or older.
    """
    with told_errors():
        from mailer.migrating import check as check_ledger
        from rules_store.migrating import check as check_rules

        settings = settings_or_exit()
        check_rules(settings.database_url.get_secret_value())
        check_ledger(settings.ledger.get_secret_value())
        typer.echo("The tables are up to date.")
