"""`push-services bounces`: mails that came back, read from a mailbox."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli_letters.opening import told_errors
from consumer.commands import settings_or_exit
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from mailer.bouncing import Heard, Listener

bounces_app = typer.Typer(
    help="Mails that came back from servers further on.", no_args_is_help=True
)


@bounces_app.callback()
def bounces() -> None:
    """Mails that came back from servers further on."""


@bounces_app.command()
def read(
    mailboxes: Annotated[
        list[str],
        typer.Argument(
            metavar="MAILBOX…",
            help="An mbox file, a Maildir folder, a file of one mail, or - for standard input.",
            show_default=False,
        ),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Read bounces, and send no more mails to addresses at which nobody is.

    A bounce counts if it came to the mailbox of a mail (bounce+TOKEN@PUSH_BOUNCE_DOMAIN) that the
    ledger knows, and its report (RFC 3464) says that nobody is at the address: the mail is then
    failed (bounced), told to outgoing-mail-undeliverable, and the address suppressed for its
    tenant. Everything else is ignored and counted by its reason. The mailbox is left as it is;
    what was read before changes nothing. Needs PUSH_TOKEN_KEY and PUSH_BOUNCE_DOMAIN.

    Example: push-services bounces read /var/mail/bounce
    """
    with told_errors(), _listener() as listener:
        from mailer.bounce_reading import read_bounce

        counts = Counter(listener.hear(read_bounce(mail)) for mail in _mails(mailboxes))
        _tell(counts, as_json=as_json)


def _mails(mailboxes: list[str]) -> Iterator[bytes]:
    from mailer.mailboxes import mails_at, mails_in

    for name in mailboxes:
        try:
            yield from mails_in(sys.stdin.buffer) if name == "-" else mails_at(Path(name))
        except OSError as error:
            raise InvalidInput([f"{name}: cannot be read: {error.strerror}"]) from None


@contextmanager
def _listener() -> "Iterator[Listener]":
    settings = settings_or_exit(("token_key", "bounce_domain"))
    from consumer.delivery_wiring import bounce_listener

    with bounce_listener(settings) as listener:
        yield listener


def _tell(counts: "Mapping[Heard, int]", *, as_json: bool) -> None:
    from mailer.bouncing import Heard

    told = {str(heard): counts.get(heard, 0) for heard in Heard}
    if as_json:
        typer.echo(json.dumps(told))
        return
    ignored = {name: count for name, count in told.items() if count and name != Heard.COUNTED}
    typer.echo(f"{told[Heard.COUNTED]} bounces counted, {sum(ignored.values())} ignored")
    for name, count in ignored.items():
        typer.echo(f"  {name}: {count}")
