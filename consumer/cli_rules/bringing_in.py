"""`rules apply` and `rules import`: what files say, brought into the store."""

from typing import TYPE_CHECKING

import typer

from consumer.cli_rules.opening import open_store, stored_tenants, told_errors
from consumer.cli_rules.options import AsJson, DryRun, Files
from consumer.cli_rules.telling import ToldChanges
from consumer.commands import settings_or_exit
from schemas.errors import SchemaOutdated, Temporary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rules_store.changes import Extent
    from schemas.rules import TenantRules


def apply(files: Files, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Bring the store to what the files say.

    Users, bank accounts and rules of the tenants in the files that no file has are deleted;
    tenants that no file names stay untouched. All of it happens in one transaction, or nothing
    does. Running it again changes nothing. Every fault of every file is told on a line
    FILE:LINE: path.to.field: what is wrong, and then nothing is applied; what is odd but possible
    is told as a note.

    Example: push-services rules apply --dry-run tenants/*.yaml

    Exit codes: 0 done, 1 faults in the files, 70 no answer from the database, 78 wrong settings
    or outdated tables.
    """
    from rules_store.changes import Extent

    _bring_in(files, Extent.WHOLE, dry_run=dry_run, as_json=as_json)


def import_(files: Files, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Add what the files say to the store, and delete nothing.

    What the store has of a tenant beside it stays, and rules may name its users and bank
    accounts. A user, bank account or rule that the store has under the same id is changed to what
    the file says. Otherwise like apply: one transaction, the same faults and notes.

    Example: push-services rules import new-tenants.yaml

    Exit codes: 0 done, 1 faults in the files, 70 no answer from the database, 78 wrong settings
    or outdated tables.
    """
    from rules_store.changes import Extent

    _bring_in(files, Extent.PART, dry_run=dry_run, as_json=as_json)


def _bring_in(files: "Sequence[str]", extent: "Extent", *, dry_run: bool, as_json: bool) -> None:
    """Read and write a chunk at a time; nothing is told before everything is committed."""
    from consumer.cli_progress import bar
    from consumer.cli_rules.sources import Sources
    from rules_store.changes import Extent
    from rules_store.files.reading import RulesReader

    with told_errors(), ToldChanges(as_json=as_json, dry_run=dry_run) as told:
        settings_or_exit()
        sources = Sources.found(files)
        with bar("Reading rules", sources.size) as step, stored_tenants() as stored:
            reader = RulesReader(stored, adding=extent is Extent.PART)
            tenants = reader.read(sources.read(step))
            try:
                with open_store() as store:
                    store.bring_in(tenants, extent, told.take, dry_run=dry_run)
            except (SchemaOutdated, Temporary):
                _tell_faults_first(tenants)
                raise
        for note in reader.notes:
            typer.echo(note, err=True)
        told.print()


def _tell_faults_first(tenants: "Iterator[TenantRules]") -> None:
    """Read what is left, which raises if files have faults: they can be mended meanwhile."""
    for _ in tenants:
        pass
