"""`rules add` and `rules edit`: one rule, by options."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli_rules.opening import open_store, rule_of, told_errors
from consumer.cli_rules.options import AsJson, DryRun, RuleArgument, TenantArgument
from consumer.cli_rules.telling import print_differences
from consumer.cli_rules.wishes import ListWish, Plain, Wishes, complaints, in_options
from schemas.errors import InvalidInput
from schemas.vocabulary import TenantId

if TYPE_CHECKING:
    from rules_store.files.differences import Difference
    from rules_store.files.single import Said
    from schemas.rules import Rule, TenantRules

Text = str | None
Texts = list[str] | None

Description = Annotated[Text, typer.Option(help="The rule's name, printed in its mails.")]
Event = Annotated[Text, typer.Option(help="payment-file-rejected or payment-status-updated.")]
PresetOption = Annotated[
    Text, typer.Option(help="not_executed, rejected_by_platform or rejected_by_bank.")
]
Status = Annotated[Texts, typer.Option(help="A wanted status; again, or with commas, for more.")]
Accounts = Annotated[Texts, typer.Option(help="all, or ids of the tenant's bank accounts.")]
To = Annotated[Texts, typer.Option(metavar="USER", help="The id of a user who gets the mails.")]
External = Annotated[Texts, typer.Option(metavar="ADDRESS", help="A free address, or a;b;c.")]
ExternalLanguage = Annotated[
    Text, typer.Option(help="de or en, for the free addresses given; else the tenant's.")
]
SubjectOption = Annotated[
    Text, typer.Option(help="With placeholders like {{ rule }}; empty for the default.")
]
MayShow = Annotated[Texts, typer.Option(help="amount or reference: what the subject may show.")]
DetailInternal = Annotated[Text, typer.Option(help="minimal, standard or full.")]
DetailExternal = Annotated[Text, typer.Option(help="minimal or standard.")]
Enabled = Annotated[bool | None, typer.Option("--enabled/--disabled", help="Whether it mails.")]


def add(
    tenant: TenantArgument,
    *,
    description: Description = None,
    event: Event = None,
    preset: PresetOption = None,
    status: Status = None,
    accounts: Accounts = None,
    to: To = None,
    external: External = None,
    external_language: ExternalLanguage = None,
    subject: SubjectOption = None,
    subject_may_show: MayShow = None,
    detail_internal: DetailInternal = None,
    detail_external: DetailExternal = None,
    enabled: Enabled = None,
    rule_id: Annotated[
        Text, typer.Option("--id", help="Its id; by default made of the description.")
    ] = None,
    default_rules: Annotated[
        bool,
        typer.Option(
            "--default-rules",
            help="Add the two rules that the product ships: rejected by platform, by bank.",
        ),
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Add a rule to a tenant, checked as a rules file is.

    Example: push-services rules add m-10482 --preset not_executed --accounts all --to u-anna

    Example: push-services rules add m-10482 --default-rules --to u-admin

    A preset brings event, statuses and a description. What is odd but possible is told as a note.

    Exit codes: 0 done, 1 faults, 70 no answer from the database, 78 settings or outdated tables.
    """
    wishes = Wishes(
        texts={
            "id": rule_id,
            "description": description,
            "event": event,
            "preset": preset,
            "subject": subject,
        },
        statuses=ListWish(instead=status or ()),
        accounts=ListWish(instead=accounts or ()),
        users=ListWish(instead=to or ()),
        externals=ListWish(instead=external or ()),
        external_language=external_language,
        subject_may_show=subject_may_show or (),
        detail_internal=detail_internal,
        detail_external=detail_external,
        enabled=enabled,
    )
    if default_rules and any((rule_id, description, event, preset, status, accounts)):
        raise typer.BadParameter("--default-rules bring their own event, accounts and description")
    starts = _default_starts() if default_rules else ({},)
    with told_errors():
        writing = _Writing(lambda held: [wishes.applied(start, held) for start in starts], _is_new)
        writing.write(tenant, dry_run=dry_run, as_json=as_json)


def edit(
    tenant: TenantArgument,
    rule: RuleArgument,
    *,
    description: Description = None,
    event: Event = None,
    preset: PresetOption = None,
    status: Status = None,
    add_status: Status = None,
    drop_status: Status = None,
    accounts: Accounts = None,
    add_accounts: Accounts = None,
    drop_accounts: Accounts = None,
    to: To = None,
    add_to: To = None,
    drop_to: To = None,
    external: External = None,
    add_external: External = None,
    drop_external: External = None,
    external_language: ExternalLanguage = None,
    subject: SubjectOption = None,
    subject_may_show: MayShow = None,
    detail_internal: DetailInternal = None,
    detail_external: DetailExternal = None,
    enabled: Enabled = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Change a rule, and show what is different; what no option names stays.

    --status, --accounts, --to and --external replace the list, --add-… and --drop-… change it.

    Example: push-services rules edit m-10482 r-rejected --add-to u-ben --disabled --dry-run

    Exit codes: 0 done, 1 faults, 70 no answer from the database, 78 settings or outdated tables.
    """
    wishes = Wishes(
        texts={"description": description, "event": event, "preset": preset, "subject": subject},
        statuses=_list_wish(status, add_status, drop_status),
        accounts=_list_wish(accounts, add_accounts, drop_accounts),
        users=_list_wish(to, add_to, drop_to),
        externals=_list_wish(external, add_external, drop_external),
        external_language=external_language,
        subject_may_show=subject_may_show or (),
        detail_internal=detail_internal,
        detail_external=detail_external,
        enabled=enabled,
    )
    if wishes.is_empty():
        raise typer.BadParameter("nothing to change: give an option, --help lists them")
    with told_errors():
        writing = _Writing(lambda held: [wishes.applied(_stored(held, rule), held)])
        writing.write(tenant, dry_run=dry_run, as_json=as_json)


def _list_wish(instead: Texts, more: Texts, fewer: Texts) -> ListWish:
    return ListWish(instead=instead or (), more=more or (), fewer=fewer or ())


def _default_starts() -> Sequence[Plain]:
    """Return the product's default rules; those with accounts want all."""
    from rules_store.presets import DEFAULT_RULES, PRESETS

    return [
        {"preset": name, "bank_accounts": "all"} if PRESETS[name].statuses else {"preset": name}
        for name in DEFAULT_RULES
    ]


def _stored(held: "TenantRules", rule: str) -> Plain:
    from rules_store.files.exporting import plain_rule

    return plain_rule(rule_of(held, rule))


def _is_new(held: "TenantRules", rule: "Rule") -> None:
    if any(rule.rule_id == other.rule_id for other in held.rules):
        fault = f"tenant {rule.tenant_id!r} has a rule {rule.rule_id!r}; rules edit changes it"
        raise InvalidInput([f"push-services: {fault}"])


@dataclass(slots=True)
class _Writing:
    """Writes the rules that are made of a tenant's, and tells what was odd and what is new."""

    make: "Callable[[TenantRules], list[Plain]]"
    check: "Callable[[TenantRules, Rule], None]" = lambda *_: None
    notes: "list[Said]" = field(default_factory=list)
    different: "tuple[Difference, ...]" = ()

    def write(self, tenant: str, *, dry_run: bool, as_json: bool) -> None:
        with open_store() as store:
            store.edit_rules(TenantId(tenant), self._rules, dry_run=dry_run)
        for note in self.notes:
            typer.echo(f"note: {in_options(note)}", err=True)
        print_differences(self.different, as_json=as_json, dry_run=dry_run)

    def _rules(self, held: "TenantRules") -> "Sequence[Rule]":
        """Return the rules that are wished, or raise `InvalidInput`; inside the transaction."""
        from rules_store.changes import with_the_rest
        from rules_store.files.differences import differences
        from rules_store.files.single import judge_rule

        judged = [judge_rule(plain, held) for plain in self.make(held)]
        if faults := [fault for one in judged for fault in one.faults]:
            raise complaints(faults)
        rules = tuple(one.rule for one in judged if one.rule)
        for rule in rules:
            self.check(held, rule)
        self.notes = [note for one in judged for note in one.notes]
        self.different = differences(held, with_the_rest(held, replace(held, rules=rules)))
        return rules
