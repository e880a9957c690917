"""`rules apply`: what files say, brought into the store."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from consumer.cli_rules.opening import load_rules, open_store, told_errors
from consumer.cli_rules.options import AsJson, DryRun, Files
from consumer.cli_rules.telling import print_changes
from consumer.commands import settings_or_exit
from schemas.errors import InvalidInput, PushError

if TYPE_CHECKING:
    from rules_store.files.reading import FiledRules, RulesFile
    from rules_store.files.rule_fields import Dangling


def apply(files: Files, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Bring the store to what the files say.

    Users, bank accounts and rules of the tenants in the files that no file has are deleted;
    tenants that no file names stay untouched. All of it happens in one transaction, or nothing
    does. Running it again changes nothing. Every fault of every file is told on a line
    FILE:LINE: path.to.field: what is wrong, and then nothing is applied.

    Example: push-services rules apply --dry-run tenants/*.yaml

    Exit codes: 0 done, 1 faults in the files, 70 no answer from the database, 78 wrong settings
    or outdated tables.
    """
    with told_errors():
        settings_or_exit()
        filed = _read(_read_sources(files))
        for note in filed.notes:
            typer.echo(note, err=True)
        with open_store() as store:
            decide = store.compare if dry_run else store.apply
            changes = decide(filed.tenants)
        print_changes(changes, as_json=as_json, dry_run=dry_run)


def _read(sources: "Sequence[RulesFile]") -> "FiledRules":
    """Read the files; the store is asked only where that can make a fault none."""
    from rules_store.files.reading import read_rules_files

    try:
        return read_rules_files(sources)
    except InvalidInput:
        dangling = _dangling()
        if not dangling:
            raise
    return read_rules_files(sources, dangling)


def _dangling() -> "Dangling":
    """Return references that may stay because stored rules have them; none if nobody can say."""
    from rules_store.files.dangling import dangling_references

    try:
        return dangling_references(load_rules().rules)
    except PushError:
        return {}


def _read_sources(names: Sequence[str]) -> "tuple[RulesFile, ...]":
    from rules_store.files.reading import RulesFile

    faults: list[str] = []
    sources: list[RulesFile] = []
    for name in names:
        try:
            content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        except OSError as error:
            faults.append(f"{name}:1: file: cannot be read: {error.strerror}")
        else:
            sources.append(RulesFile("<stdin>" if name == "-" else name, content))
    if faults:
        raise InvalidInput(faults)
    return tuple(sources)
