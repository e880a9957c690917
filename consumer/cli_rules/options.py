"""The arguments and options that several commands share."""

from typing import Annotated

import typer

TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")]
RuleArgument = Annotated[str, typer.Argument(metavar="RULE", help="The rule's id in the tenant.")]
Files = Annotated[
    list[str], typer.Argument(metavar="FILE.yaml…", help="Rules files; - is standard input.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
]
Tenants = Annotated[
    list[str] | None,
    typer.Option("--tenant", metavar="ID", help="Only this tenant; may be given again."),
]
