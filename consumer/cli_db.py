"""`push-services db`: the tables of rules and mails."""

import typer

from consumer.cli_rules.opening import database_url, told_errors

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

        url = database_url()
        upgrade_rules(url)
        upgrade_ledger(url)
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

        url = database_url()
        check_rules(url)
        check_ledger(url)
        typer.echo("The tables are up to date.")
