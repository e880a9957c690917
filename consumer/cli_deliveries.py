"""`push-services deliveries` and `push-services suppressions`: the ledger, for operators."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from consumer.cli_replay import replay
from consumer.cli_rules.opening import told_errors
from consumer.cli_tables import print_rows
from consumer.commands import settings_or_exit
from schemas.errors import InvalidInput, InvalidValue

if TYPE_CHECKING:
    from consumer.settings import Settings
    from mailer.ports import Standing
    from mailer.sql import SqlLedger
    from mailer.sql_operators import SqlOperators
    from mailer.sql_suppressions import SqlSuppressions
    from mailer.suppressing import Suppression

deliveries_app = typer.Typer(
    help="What became of mails: look, and let them be tried again.", no_args_is_help=True
)
suppressions_app = typer.Typer(
    help="Addresses that a tenant's mails no longer go to.", no_args_is_help=True
)


class Opened(NamedTuple):
    """The ledger of the settings, for one command."""

    settings: "Settings"
    ledger: "SqlLedger"
    operators: "SqlOperators"
    suppressions: "SqlSuppressions"


class Which(StrEnum):
    """The states of a mail, as they are typed."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    HELD = "held"


class Again(StrEnum):
    """The states from which a mail can be tried again at once."""

    HELD = "held"
    WAITING = "waiting"


TenantOption = Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")]
RuleOption = Annotated[
    str | None, typer.Option("--rule", help="Only of this rule; else whatever the rule.")
]
TenantArgument = Annotated[str, typer.Argument(help="The tenant's id.", show_default=False)]
AddressArgument = Annotated[str, typer.Argument(help="The mail address.", show_default=False)]
Most = Annotated[int, typer.Option(help="At most so many.", min=1, max=100_000)]


@deliveries_app.command("list")
def list_deliveries(
    *,
    state: Annotated[Which | None, typer.Option(help="Only of this state.")] = None,
    tenant: TenantOption = None,
    most: Most = 100,
) -> None:
    """List mails of the ledger, the latest first: state, why, tries, tenant, rule, mail id.

    Example: push-services deliveries list --state held
    """
    with _opened() as opened:
        from mailer.results import State
        from schemas.vocabulary import TenantId

        wanted = None if state is None else State(state.value)
        mails = opened.operators.mails(wanted, TenantId(tenant) if tenant else None, most)
        if mails:
            headings = ("state", "fate", "tries", "in doubt", "tenant", "rule", "mail id")
            print_rows(headings, [_row(mail) for mail in mails])
        typer.echo(f"{len(mails)} mails", err=True)


def _row(mail: "Standing") -> list[str]:
    tries, doubts = str(mail.attempts), str(mail.in_doubt_count)
    words = [str(mail.state), str(mail.fate or "-"), tries, doubts]
    return [*words, mail.tenant_id, mail.rule_id, mail.mail_id]


@deliveries_app.command()
def show(
    tenant: TenantArgument,
    mail: Annotated[str, typer.Argument(help="The mail's id.", show_default=False)],
) -> None:
    """Show where one mail stands, as JSON; the address only by its keyed hash.

    Example: push-services deliveries show m-10482 0123456789abcdef0123456789abcdef
    """
    with _opened() as opened:
        from schemas.vocabulary import MailId, TenantId

        found = opened.ledger.standing(TenantId(tenant), MailId(mail))
        if found is None:
            raise InvalidInput([f"push-services: tenant {tenant!r} has no mail {mail!r}"])
        shown: dict[str, Any] = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(found).items()
            if name != "recipient"
        }
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))


@deliveries_app.command()
def retry(
    *,
    state: Annotated[Again, typer.Option(help="Those of this state.")] = Again.HELD,
    tenant: TenantOption = None,
    mail: Annotated[str | None, typer.Option(help="Only this mail id.")] = None,
    most: Most = 10_000,
) -> None:
    """Let mails be tried at once: held ones, or waiting ones before their time.

    Mails that failed cannot be tried again from here: their bytes are deleted.

    Example: push-services deliveries retry --state held
    """
    with _opened() as opened:
        from mailer.results import State
        from schemas.vocabulary import MailId, TenantId

        count = opened.operators.retry(
            State(state.value),
            TenantId(tenant) if tenant else None,
            MailId(mail) if mail else None,
            most,
        )
        typer.echo(f"{count} mails are due now")


deliveries_app.command()(replay)


@suppressions_app.command("list")
def list_suppressions(tenant: TenantArgument) -> None:
    """List a tenant's suppressions: hash of the address, rule, why, until when.

    Example: push-services suppressions list m-10482
    """
    with _opened() as opened:
        from schemas.vocabulary import TenantId

        found = opened.suppressions.of_tenant(TenantId(tenant))
        if found:
            headings = ("address hash", "rule", "reason", "until")
            print_rows(headings, [_told(one) for one in found])
        typer.echo(f"{len(found)} suppressions", err=True)


def _told(one: "Suppression") -> list[str]:
    until = "for good" if one.until is None else one.until.isoformat(timespec="seconds")
    return [one.address_hash, one.rule_id or "every rule", str(one.reason), until]


@suppressions_app.command()
def add(
    tenant: TenantArgument,
    address: AddressArgument,
    *,
    rule: RuleOption = None,
    days: Annotated[int | None, typer.Option(help="For so many days; else for good.")] = None,
) -> None:
    """Send no more of a tenant's mails to an address. Needs PUSH_TOKEN_KEY.

    Example: push-services suppressions add m-10482 anna@muster.example --rule r-rejected
    """
    with _opened() as opened:
        _add(opened, [(tenant, address, rule or "")], days)


@suppressions_app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="The file.", exists=True, dir_okay=False)],
    *,
    days: Annotated[int | None, typer.Option(help="For so many days; else for good.")] = None,
) -> None:
    """Read suppressions from a file: a line each, TENANT,ADDRESS or TENANT,ADDRESS,RULE.

    All or none: each line that cannot be meant is told. Needs PUSH_TOKEN_KEY.

    Example: push-services suppressions import bounced.csv --days 90
    """
    with _opened() as opened:
        lines = file.read_text("utf-8").splitlines()
        parts = [line.split(",") for line in lines]
        faults = [
            f"{file}:{number}: allowed is TENANT,ADDRESS[,RULE]"
            for number, words in enumerate(parts, 1)
            if len(words) not in (2, 3) or not all(words[:2])
        ]
        if faults:
            raise InvalidInput(faults)
        rows = [(words[0], words[1], "".join(words[2:])) for words in parts]
        _add(opened, rows, days)


@suppressions_app.command()
def remove(tenant: TenantArgument, address: AddressArgument, *, rule: RuleOption = None) -> None:
    """Send a tenant's mails to an address again. Needs PUSH_TOKEN_KEY.

    Example: push-services suppressions remove m-10482 anna@muster.example
    """
    with _opened() as opened:
        from schemas.vocabulary import RuleId, TenantId

        wanted = RuleId(rule) if rule else None
        name = _hash(opened.settings, address, 1)
        if not opened.suppressions.remove(TenantId(tenant), name, wanted):
            raise InvalidInput(["push-services: there is no such suppression"])
        typer.echo("Removed.")


def _add(opened: Opened, rows: list[tuple[str, str, str]], days: int | None) -> None:
    from mailer.suppressing import Reason, Suppression
    from schemas.vocabulary import RuleId, TenantId

    until = None if days is None else datetime.now(UTC) + timedelta(days=days)
    suppressions = [
        Suppression(
            tenant_id=TenantId(tenant),
            address_hash=_hash(opened.settings, address, number),
            rule_id=RuleId(rule) if rule else None,
            reason=Reason.OPERATOR,
            until=until,
        )
        for number, (tenant, address, rule) in enumerate(rows, 1)
    ]
    added = opened.suppressions.add(suppressions)
    typer.echo(f"{added} added, {len(suppressions) - added} were there already")


def _hash(settings: "Settings", address: str, line: int) -> str:
    """Return an address's keyed hash; a fault never quotes the address."""
    from mailer.tokens import address_hash
    from schemas.addresses import EmailAddress

    if settings.token_key is None:
        raise InvalidInput(["push-services: PUSH_TOKEN_KEY: must be set"])
    local, at, domain = address.strip().rpartition("@")
    try:
        read = EmailAddress(f"{local}{at}{domain.lower()}")
    except InvalidValue:
        raise InvalidInput([f"push-services: line {line}: not a mail address"]) from None
    return address_hash(settings.token_key.get_secret_value(), read)


@contextmanager
def _opened() -> Iterator[Opened]:
    """Give the ledger, its tables checked."""
    with told_errors():
        from mailer.migrating import check
        from mailer.sql import SqlLedger
        from mailer.sql_operators import SqlOperators
        from mailer.sql_suppressions import SqlSuppressions
        from mailer.tables import ledger_engine

        settings = settings_or_exit()
        url = settings.ledger.get_secret_value()
        check(url)
        engine = ledger_engine(url)
        try:
            parts = (SqlLedger(engine), SqlOperators(engine), SqlSuppressions(engine))
            yield Opened(settings, *parts)
        finally:
            engine.dispose()
