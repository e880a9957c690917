"""`push-services rules`: its commands, by what people come for."""

import typer

from consumer.cli_rules.bringing_in import apply, import_
from consumer.cli_rules.editing import add, edit
from consumer.cli_rules.looking import export, list_rules, show
from consumer.cli_rules.past import diff, history
from consumer.cli_rules.taking_out import delete
from consumer.cli_rules.validating import validate

rules_app = typer.Typer(
    help="The tenants' rules: bring them in from files, look at them, write them out.",
    no_args_is_help=True,
)
rules_app.command()(apply)
rules_app.command("import")(import_)
rules_app.command("list")(list_rules)
rules_app.command()(show)
rules_app.command()(add)
rules_app.command()(edit)
rules_app.command()(delete)
rules_app.command()(export)
rules_app.command()(validate)
rules_app.command()(history)
rules_app.command()(diff)
