"""`rules validate`: what is wrong or odd in the store, or in files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli_rules.opening import open_store, told_errors
from consumer.cli_rules.options import AsJson, Tenants
from consumer.cli_rules.telling import print_json
from consumer.commands import settings_or_exit
from schemas.errors import InvalidInput
from schemas.vocabulary import TenantId

if TYPE_CHECKING:
    from rules_store.files.validating import Finding


def validate(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE.yaml…]", help="Rules files; without any, the store."),
    ] = None,
    *,
    tenant: Tenants = None,
    as_json: AsJson = False,
) -> None:
    """Check everything in the store, or in files without asking the store; change nothing.

    A fault is what a rules file would be refused for: raw SQL may have brought it in. A rule that
    cannot be meant at all has disabled itself, the tenant's others go on. A note is what can be
    meant but is odd: nobody left to mail to, a domain that looks mistyped, rules that say the same.

    Example: push-services rules validate --tenant m-10482

    Example: push-services rules validate tenants/*.yaml

    Exit codes: 0 no fault (notes may be), 1 faults, 70 no answer from the database, 78 settings or
    outdated tables.
    """
    with told_errors():
        settings_or_exit()
        if files and tenant:
            raise typer.BadParameter("--tenant is for the store; files are checked in full")
        told = _files(files) if files else _store(tenant or ())
        print_json(told.plain) if as_json else typer.echo("\n".join(told.lines))
    if told.faults:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Told:
    """What was found, for people and for programs."""

    lines: Sequence[str]
    plain: object
    faults: int


def _files(files: Sequence[str]) -> _Told:
    from consumer.cli_progress import bar
    from consumer.cli_rules.sources import Sources
    from rules_store.files.reading import RulesReader

    sources = Sources.found(files)
    reader = RulesReader()
    faults: tuple[str, ...] = ()
    tenants = rules = 0
    with bar("Checking rules", sources.size) as step:
        try:
            for found in reader.read(sources.read(step)):
                tenants, rules = tenants + 1, rules + len(found.rules)
        except InvalidInput as error:
            faults = error.faults
    of_what = (
        "" if faults else f"{_number(tenants, 'tenant')}, {_number(rules, 'rule')}: "
    )  # nobody counts a faulty file
    total = of_what + _counted(len(faults), len(reader.notes))
    plain = {"faults": faults, "notes": reader.notes}
    return _Told((*faults, *reader.notes, total), plain, len(faults))


def _store(tenants: Sequence[str]) -> _Told:
    from rules_store.files.validating import findings_in

    found: list[Finding] = []
    seen: set[object] = set()
    rules = 0
    with open_store() as store:
        for rows in store.stored_rows([TenantId(tenant) for tenant in tenants]):
            found += findings_in(rows)
            seen |= {row[0] for row in rows.tenants}
            rules += len(rows.rules)
    missing = [name for name in tenants if name not in seen]
    if missing:
        raise InvalidInput([f"push-services: there is no tenant {name!r}" for name in missing])
    faults = sum(finding.is_fault for finding in found)
    off = sum(finding.is_off for finding in found)
    of_what = f"{_number(len(seen), 'tenant')}, {_number(rules, 'rule')}"
    total = f"{of_what}: {_counted(faults, len(found) - faults)}"
    disabled = f"; rules that have disabled themselves: {off}" if off else ""
    lines = (*(finding.line for finding in found), total + disabled)
    return _Told(lines, [_plain(finding) for finding in found], faults)


def _counted(faults: int, notes: int) -> str:
    return f"{_number(faults, 'fault')}, {_number(notes, 'note')}"


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _plain(finding: "Finding") -> dict[str, object]:
    return {
        "kind": "fault" if finding.is_fault else "note",
        "tenant": finding.tenant_id,
        "thing": finding.thing,
        "id": finding.thing_id,
        "key": finding.key,
        "text": finding.text,
        "disabled_itself": finding.is_off,
    }
