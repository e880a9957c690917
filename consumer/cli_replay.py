"""`push-services deliveries replay`: the ledger made whole after a restore."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli_letters.opening import told_errors
from consumer.cli_letters.options import instant
from consumer.commands import settings_or_exit
from schemas.errors import Fatal, Temporary

if TYPE_CHECKING:
    from consumer.replaying import Replayed, Replaying

_AGAIN = "give the command again, nothing is counted twice"


def replay(
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="When the backup was taken: an instant (2026-11-25T08:00Z; without a zone it is "
            "UTC) or a length of time ago (PT2H).",
        ),
    ],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Read the outgoing-mail topic again after the ledger was restored from a backup.

    Mails that the lost ledger had taken in since are taken in again, and those that had not come
    to their end when the backup was taken go on. Each may have been sent by the lost ledger, so it
    is counted as in doubt, once however often this is run. Stop `deliver` before the restore, and
    start it after this.

    Example: push-services deliveries replay --since 2026-11-25T08:00Z --dry-run
    """
    with told_errors():
        settings = settings_or_exit(("kafka_bootstrap_servers",))
        backup = _past(since)
        from consumer.cli_progress import bar
        from consumer.delivery_wiring import replaying

        with bar("records", None) as step, replaying(settings) as one:
            one.step = step
            found = one.survey(backup) if dry_run else _run(one, backup)
        if as_json:
            typer.echo(json.dumps({"since": backup.isoformat(), **found._asdict()}))
        else:
            _tell(found, dry_run)


def _past(text: str) -> datetime:
    now = datetime.now(UTC)
    backup = instant(text, now, "--since")
    if backup > now:
        raise typer.BadParameter("--since: the backup lies in the future")
    return backup


def _run(one: "Replaying", backup: datetime) -> "Replayed":
    try:
        return one.run(backup)
    except Temporary as error:
        raise Fatal(f"{error}; {_AGAIN}") from error


def _tell(found: "Replayed", dry_run: bool) -> None:
    would = "would be" if dry_run else "were"
    typer.echo(f"{found.records} records read, {found.known} of them known to the ledger")
    typer.echo(
        f"{found.taken_in_again} mails {would} taken in again, in doubt; {found.expired} of them "
        "have expired and will be reported as failed"
    )
    typer.echo(f"{found.open_at_backup} mails open at the backup {would} counted as in doubt")
    if found.left_to_deliver:
        typer.echo(f"{found.left_to_deliver} records are left to deliver, which has not read them")
    if found.unreadable:
        typer.echo(f"{found.unreadable} records hold no mail; they are dead letters already")
