"""`rules history` and `rules diff`: what was changed, when, by whom, and what is different."""

from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli_rules.opening import open_store, told_errors
from consumer.cli_rules.options import AsJson, TenantArgument
from consumer.cli_rules.telling import change_line, print_differences, print_json
from consumer.cli_tables import print_rows
from schemas.errors import InvalidInput
from schemas.vocabulary import Generation, TenantId

if TYPE_CHECKING:
    from rules_store.ports import Version
    from rules_store.sql import SqlRulesStore
    from schemas.rules import TenantRules


def history(
    tenant: TenantArgument,
    rule: Annotated[
        str | None, typer.Argument(metavar="[RULE]", help="Only this rule of the tenant.")
    ] = None,
    *,
    since: Annotated[
        int, typer.Option(metavar="GENERATION", help="Only what came after it.", min=0)
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Tell what of a tenant was created, changed and deleted: in which generation, when, by whom.

    Oldest first, times in UTC. Whoever changed it is what the writer said of itself, and in
    PostgreSQL the user that it logged in as. Generations are for rules diff. In SQLite each row
    that changes is a generation: rows that one writer changes within a second are told as the last.

    Example: push-services rules history m-10482 r-rejected
    """
    with told_errors():
        from rules_store.folding import folded

        with open_store() as store:
            versions = folded(store.versions(TenantId(tenant), Generation(since)))
        if rule is not None:
            versions = tuple(version for version in versions if _is_of(version, rule))
        if not versions and not since:
            raise _unknown(tenant, rule)
        if as_json:
            print_json([_plain(version) for version in versions])
        elif versions:
            print_rows(("Generation", "When (UTC)", "By", "What"), [_row(v) for v in versions])


def diff(
    tenant: TenantArgument,
    *,
    from_generation: Annotated[
        int | None, typer.Option("--from", metavar="GENERATION", help="Before: the older state.")
    ] = None,
    to_generation: Annotated[
        int | None,
        typer.Option("--to", metavar="GENERATION", help="After; without it, what is stored now."),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(metavar="FILE.yaml", help="After: what a rules file says of the tenant."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how a tenant differs between two generations, or between the store and a rules file.

    Lines that went begin with -, lines that came with +, as a rules file has them.

    Example: push-services rules diff m-10482 --from 17 --to 20

    Example: push-services rules diff m-10482 --file tenants/m-10482.yaml
    """
    if (file is None) == (from_generation is None) or (file and to_generation is not None):
        raise typer.BadParameter("give --from GENERATION, with or without --to, or --file FILE")
    with told_errors():
        from rules_store.files.differences import differences

        tenant_id = TenantId(tenant)
        with open_store() as store:
            before = _state(store, tenant_id, from_generation)
            after = (
                _filed(file, before, tenant) if file else _state(store, tenant_id, to_generation)
            )
        if before is None and after is None:
            raise _unknown(tenant, None)
        print_differences(differences(before, after), as_json=as_json)


def _is_of(version: "Version", rule: str) -> bool:
    return (version.change.thing.value, version.change.thing_id) == ("rule", rule)


def _unknown(tenant: str, rule: str | None) -> InvalidInput:
    named = f"tenant {tenant!r}" if rule is None else f"rule {rule!r} of tenant {tenant!r}"
    return InvalidInput([f"push-services: the history knows no {named}"])


def _row(version: "Version") -> Sequence[str]:
    at = version.changed_at.astimezone(UTC).isoformat(sep=" ", timespec="seconds")[:19]
    return (str(version.generation), at, _by(version), change_line(version.change))


def _by(version: "Version") -> str:
    said, user = version.changed_by, version.database_user
    return f"{said} ({user})" if said and user else said or user or "-"


def _plain(version: "Version") -> dict[str, object]:
    change = version.change
    return {
        "generation": version.generation,
        "changed_at": version.changed_at.astimezone(UTC).isoformat(),
        "changed_by": version.changed_by,
        "database_user": version.database_user,
        "change": change.kind,
        "thing": change.thing,
        "tenant": change.tenant_id,
        "id": change.thing_id,
        "description": change.description,
    }


def _state(
    store: "SqlRulesStore", tenant_id: TenantId, generation: int | None
) -> "TenantRules | None":
    """Return a tenant as of a generation, or as it is now."""
    if generation is None:
        return next(iter(store.load_tenants((tenant_id,)).rules.tenants), None)
    return store.load_as_of(tenant_id, Generation(generation))


def _filed(file: str, stored: "TenantRules | None", tenant: str) -> "TenantRules":
    """Return what a file says of a tenant."""
    from consumer.cli_rules.sources import Sources
    from rules_store.files.reading import RulesReader

    reader = RulesReader(lambda _: stored)
    read = tuple(reader.read(Sources.found((file,)).read(lambda _: None)))
    for tenant_rules in read:
        if tenant_rules.tenant.tenant_id == tenant:
            return tenant_rules
    raise InvalidInput([f"push-services: {file} has no tenant {tenant!r}"])
