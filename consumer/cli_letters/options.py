"""The options that choose dead letters, and what they mean together."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import InvalidValue
from schemas.vocabulary import DeadLetterReason

if TYPE_CHECKING:
    from consumer.letters.choosing import Choice
    from consumer.letters.reading import Position

Reasons = Annotated[
    list[DeadLetterReason] | None,
    typer.Option("--reason", metavar="REASON", help="Only this reason; may be given again."),
]
Topics = Annotated[
    list[str] | None,
    typer.Option("--topic", metavar="TOPIC", help="Only records that came from this topic."),
]
Tenants = Annotated[
    list[str] | None,
    typer.Option("--tenant", metavar="ID", help="Only this tenant's, as far as they can be read."),
]
Rules = Annotated[
    list[str] | None,
    typer.Option("--rule", metavar="ID", help="Only this rule's share of a record."),
]
_TIME = "an instant (2026-11-25T08:00Z; without a zone it is UTC) or a length of time ago (PT2H)"
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help=f"Only what failed at or after {_TIME}.")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Only what failed before it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one letter a line.")]
PlaceArgument = Annotated[
    str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="Where the letter lies.")
]


def chosen(
    groups: Sequence[str],
    *,
    reason: Sequence[str] | None,
    topic: Sequence[str] | None,
    tenant: Sequence[str] | None,
    rule: Sequence[str] | None,
    since: str | None,
    until: str | None,
    places: "Sequence[Position]" = (),
) -> "Choice":
    """Return the choice, or end the command with what is wrong with it."""
    from consumer.letters.choosing import Choice

    return Choice(
        groups=groups,
        reasons=reason or (),
        topics=topic or (),
        tenants=tenant or (),
        rules=rule or (),
        places=frozenset(places),
        since=None if since is None else instant(since, datetime.now(UTC), "--since"),
        until=None if until is None else instant(until, datetime.now(UTC), "--until"),
    )


def instant(text: str, now: datetime, option: str) -> datetime:
    """Read an instant or a length of time ago as aware UTC."""
    from consumer.settings_values import duration

    try:
        if text.startswith("P"):
            return now - duration(text)
        at = datetime.fromisoformat(text)
    except (InvalidValue, ValueError):
        raise typer.BadParameter(f"{option}: {text!r} is neither {_TIME}") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if at < now - timedelta(days=36_500):
        raise typer.BadParameter(f"{option}: {text!r} is too long ago")
    return at.astimezone(UTC)


def place(text: str, topic: str) -> "Position":
    """Read a letter's place, or end the command: it must lie in the dead-letter topic."""
    from consumer.letters.reading import Position

    try:
        at = Position.parse(text)
    except InvalidValue as error:
        raise typer.BadParameter(str(error)) from None
    if at.topic != topic:
        raise typer.BadParameter(f"{text}: the dead letters lie in {topic}")
    return at
