"""`rules list`, `rules show` and `rules export`: what is in the store."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli_rules.opening import load_rules, rule_of, tenant_of, told_errors
from consumer.cli_rules.options import AsJson, TenantArgument, Tenants
from consumer.cli_rules.telling import print_json, summary
from consumer.cli_tables import print_rows
from schemas.vocabulary import EventType, PaymentStatus

if TYPE_CHECKING:
    from rules_store.choosing import Choice
    from rules_store.ports import LoadedRules
    from schemas.rules import Rule


def list_rules(
    *,
    tenant: Tenants = None,
    event: Annotated[
        EventType | None, typer.Option(metavar="EVENT", help="Only rules that wait for this event.")
    ] = None,
    status: Annotated[
        PaymentStatus | None,
        typer.Option(metavar="STATUS", help="Only rules that want this status."),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only rules that want this bank account, or all."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="USER|ADDRESS", help="Only rules that name this recipient."),
    ] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Only disabled rules.")] = False,
    enabled: Annotated[bool, typer.Option("--enabled", help="Only enabled rules.")] = False,
    as_json: AsJson = False,
) -> None:
    """List every tenant's rules, the tenant's id first; options narrow the choice.

    Example: push-services rules list --tenant m-10482 --status FIN_REJECTED --enabled

    Rules that cannot be meant, because raw SQL made them so, are told on stderr with the reason.
    """
    if enabled and disabled:
        raise typer.BadParameter("--enabled and --disabled exclude each other")
    with told_errors():
        from rules_store.choosing import Choice

        choice = Choice(
            event_type=event,
            status=status,
            account_id=account,
            recipient=to,
            enabled=enabled or (False if disabled else None),
        )
        loaded = load_rules(tenant or ())
        rules = list(_chosen(loaded, choice))
        if as_json:
            print_json([summary(rule) for rule in rules])
        elif rules:
            headings = ("Tenant", "Rule", "State", "Event", "Description")
            print_rows(headings, [tuple(summary(rule).values()) for rule in rules])
        _tell_rejected(loaded)


def _chosen(loaded: "LoadedRules", choice: "Choice") -> "Iterator[Rule]":
    for tenant_rules in loaded.rules.tenants:
        yield from (rule for rule in tenant_rules.rules if choice.takes(rule))


def _tell_rejected(loaded: "LoadedRules") -> None:
    for rejected in loaded.rejected:
        place = f"{rejected.tenant_id} {rejected.rule_id}"
        typer.echo(f"{place}: disabled, cannot be meant: {rejected.reason}", err=True)


def show(
    tenant: TenantArgument,
    rule: Annotated[
        str | None, typer.Argument(metavar="[RULE]", help="The rule's id; without it, all.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show one rule as a rules file has it, or a tenant with its users, accounts and rules.

    Example: push-services rules show m-10482 r-rejected
    """
    with told_errors():
        from rules_store.files.exporting import as_yaml, plain_rule, plain_tenant

        loaded = load_rules((tenant,))
        tenant_rules = tenant_of(loaded, tenant)
        plain = (
            plain_tenant(tenant_rules) if rule is None else plain_rule(rule_of(tenant_rules, rule))
        )
        if as_json:
            print_json(plain)
        else:
            typer.echo(as_yaml(plain), nl=False)


def export(*, tenant: Tenants = None, as_json: AsJson = False) -> None:
    """Write tenants with all they have to standard output, in the form that apply reads.

    Example: push-services rules export > rules.yaml

    Sorted by id, so two exports can be compared. Applying it again changes nothing. JSON is a
    rules file too. Rules that cannot be meant, because raw SQL made them so, have no form in a
    file: they are told on stderr, and the exit code is 1.
    """
    with told_errors():
        from rules_store.files.exporting import as_rules_file, plain_rules_file

        loaded = load_rules(tenant or ())
        if as_json:
            print_json(plain_rules_file(loaded.rules.tenants))
        else:
            typer.echo(as_rules_file(loaded.rules.tenants), nl=False)
        _tell_rejected(loaded)
        if loaded.rejected:
            raise typer.Exit(1)
