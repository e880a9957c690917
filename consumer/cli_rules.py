"""`push-services rules` and `push-services db`: what tenants want, and the tables it lies in.

What a command needs is imported inside it, so that `--help` answers at once.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.commands import fatal_errors, settings_or_exit
from schemas.errors import Fatal, InvalidInput, PushError, Temporary
from schemas.subjects import one_line
from schemas.vocabulary import RuleId, TenantId

if TYPE_CHECKING:
    from rules_store.changes import Change
    from rules_store.files.reading import FiledRules, RulesFile
    from rules_store.files.rule_fields import Dangling
    from rules_store.ports import LoadedRules
    from rules_store.sql import SqlRulesStore
    from schemas.rules import Rule

rules_app = typer.Typer(
    help="The tenants' rules: bring them in from files, look at them, write them out.",
    no_args_is_help=True,
)
db_app = typer.Typer(help="The tables in the database.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")]
RuleArgument = Annotated[str, typer.Argument(metavar="RULE", help="The rule's id in the tenant.")]


@rules_app.command()
def apply(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE.yaml…", help="Rules files; - is standard input.")
    ],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the store to what the files say.

    Users, bank accounts and rules of the tenants in the files that no file has are deleted;
    tenants that no file names stay untouched. All of it happens in one transaction, or nothing
    does. Running it again changes nothing. Every fault of every file is told on a line
    FILE:LINE: path.to.field: what is wrong, and then nothing is applied.

    Example: push-services rules apply --dry-run tenants/*.yaml

    Exit codes: 0 done, 1 faults in the files, 70 no answer from the database, 78 wrong settings
    or outdated tables.
    """
    with _told_errors():
        settings_or_exit()
        filed = _read(_read_sources(files))
        for note in filed.notes:
            typer.echo(note, err=True)
        with _store() as store:
            decide = store.compare if dry_run else store.apply
            changes = decide(filed.tenants)
        _print_changes(changes, as_json=as_json, dry_run=dry_run)


@rules_app.command("list")
def list_rules(*, as_json: AsJson = False) -> None:
    """List every tenant's rules, the tenant's id first.

    Example: push-services rules list --json

    Rules that cannot be meant, because raw SQL made them so, stand at the end with the reason.
    """
    with _told_errors():
        loaded = _load()
        rules = [rule for tenant in loaded.rules.tenants for rule in tenant.rules]
        if as_json:
            _print_json([_summary(rule) for rule in rules])
        else:
            _print_table([tuple(_summary(rule).values()) for rule in rules])
        for rejected in loaded.rejected:
            place = f"{rejected.tenant_id} {rejected.rule_id}"
            typer.echo(f"{place}: disabled, cannot be meant: {rejected.reason}", err=True)


@rules_app.command()
def show(tenant: TenantArgument, rule: RuleArgument, *, as_json: AsJson = False) -> None:
    """Show one rule as a rules file has it.

    Example: push-services rules show m-10482 r-rejected
    """
    with _told_errors():
        from rules_store.files.exporting import as_yaml, plain_rule

        plain = plain_rule(_find(_load(), tenant, rule))
        if as_json:
            _print_json(plain)
        else:
            typer.echo(as_yaml(plain), nl=False)


@rules_app.command()
def delete(tenant: TenantArgument, rule: RuleArgument) -> None:
    """Delete one rule; the tenant's others, its users and bank accounts stay.

    Example: push-services rules delete m-10482 r-rejected
    """
    with _told_errors():
        with _store() as store:
            changes = store.delete_rule(TenantId(tenant), RuleId(rule))
        if not changes:
            raise _no_such_rule(tenant, rule)
        _print_changes(changes, as_json=False, dry_run=False)


@rules_app.command()
def export() -> None:
    """Write all tenants with all they have to standard output, in the form that apply reads.

    Example: push-services rules export > rules.yaml

    Sorted by id, so two exports can be compared. Applying it again changes nothing.
    """
    with _told_errors():
        from rules_store.files.exporting import as_rules_file

        typer.echo(as_rules_file(_load().rules.tenants), nl=False)


@db_app.command()
def upgrade() -> None:
    """Create the tables of rules and mails, or bring them to what this version needs.

    Nothing else migrates, so run it before the first start and before each new version. Running
    it twice, or two at once, does no harm.

    Example: PUSH_DATABASE_URL=postgresql://push@db.example/push push-services db upgrade
    """
    with _told_errors():
        from mailer.migrating import upgrade as upgrade_ledger
        from rules_store.migrating import upgrade as upgrade_rules

        url = _database_url()
        upgrade_rules(url)
        upgrade_ledger(url)
        typer.echo("The tables are up to date.")


@db_app.command()
def check() -> None:
    """Check that the tables are those this version needs; change nothing.

    Example: push-services db check

    Exit codes: 0 they are, 70 no answer from the database, 78 they are missing or older.
    """
    with _told_errors():
        from mailer.migrating import check as check_ledger
        from rules_store.migrating import check as check_rules

        url = _database_url()
        check_rules(url)
        check_ledger(url)
        typer.echo("The tables are up to date.")


@contextmanager
def _told_errors() -> Iterator[None]:
    """Tell each error as lines on stderr with its exit code; these commands wait for nothing."""
    with fatal_errors():
        try:
            yield
        except Temporary as error:
            raise Fatal(str(error)) from error


def _database_url() -> str:
    return settings_or_exit().database_url.get_secret_value()


@contextmanager
def _store() -> "Iterator[SqlRulesStore]":
    from rules_store.sql import SqlRulesStore, check_schema, engine_for

    engine = engine_for(_database_url())
    try:
        check_schema(engine)
        yield SqlRulesStore(engine)
    finally:
        engine.dispose()


def _load() -> "LoadedRules":
    with _store() as store:
        return store.load()


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
        return dangling_references(_load().rules)
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


def _find(loaded: "LoadedRules", tenant: str, rule: str) -> "Rule":
    for tenant_rules in loaded.rules.tenants:
        for found in tenant_rules.rules:
            if (found.tenant_id, found.rule_id) == (tenant, rule):
                return found
    raise _no_such_rule(tenant, rule)


def _no_such_rule(tenant: str, rule: str) -> InvalidInput:
    return InvalidInput([f"push-services: tenant {tenant!r} has no rule {rule!r}"])


def _summary(rule: "Rule") -> dict[str, str]:
    return {
        "tenant": rule.tenant_id,
        "rule": rule.rule_id,
        "enabled": "enabled" if rule.enabled else "disabled",
        "event": rule.trigger.event_type.value,
        "description": one_line(rule.description),
    }


def _print_changes(changes: "Sequence[Change]", *, as_json: bool, dry_run: bool) -> None:
    """Say what was changed, a line each, and the sum; ids and rules' descriptions only."""
    from rules_store.changes import ChangeKind

    if as_json:
        _print_json([_plain_change(change) for change in changes])
        return
    for change in changes:
        typer.echo(_change_line(change))
    counts = Counter(change.kind for change in changes)
    total = ", ".join(f"{counts[kind]} {kind.value}" for kind in ChangeKind)
    typer.echo(total + (" (dry run: nothing was changed)" if dry_run else ""))


def _change_line(change: "Change") -> str:
    named = f"{change.tenant_id}/{change.thing_id}" if change.thing_id else change.tenant_id
    described = f' "{one_line(change.description)}"' if change.description else ""
    return f"{change.kind.value} {change.thing.value} {named}{described}"


def _plain_change(change: "Change") -> dict[str, str]:
    return {
        "change": change.kind,
        "thing": change.thing,
        "tenant": change.tenant_id,
        "id": change.thing_id,
        "description": change.description,
    }


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows under one another, every column as wide as its widest word."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (word.ljust(width) for word, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
