"""`dead-letters list` and `dead-letters show`."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from consumer.cli_letters.opening import opened, told_errors
from consumer.cli_letters.options import (
    AsJson,
    PlaceArgument,
    Reasons,
    Rules,
    Since,
    Tenants,
    Topics,
    Until,
    chosen,
    place,
)
from consumer.cli_letters.telling import Progress, print_letters, say
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from consumer.letters.reading import Letter


def list_letters(
    *,
    reason: Reasons = None,
    topic: Topics = None,
    tenant: Tenants = None,
    rule: Rules = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the oldest first; options narrow the choice.

    Example: push-services dead-letters list --reason render_failed --since P1D

    Shows where each lies, when and why it failed, where its record came from, the tenant as far as
    the record can be read, the rule where only its share failed, and whether it was redriven.
    """
    with told_errors():
        box = opened()
        choice = chosen(
            box.groups,
            reason=reason,
            topic=topic,
            tenant=tenant,
            rule=rule,
            since=since,
            until=until,
        )
        progress = Progress()
        found = box.redriving.survey(choice, progress.reading)
        progress.end()
        print_letters(found.letters, found, as_json=as_json)
        redriven = sum(each.at in found.redriven for each in found.letters)
        say(f"{len(found.letters)} dead letters, {redriven} of them redriven")


def show(
    letter: PlaceArgument,
    *,
    value_to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the record's value, as it is, to this new file. It may hold names, "
            "account numbers and what a bank wrote: treat it as such.",
        ),
    ] = None,
) -> None:
    """Show one dead letter as JSON: what it says, and the routing fields where they can be read.

    Example: push-services dead-letters show dead-letter/0/42

    Nothing personal is shown: of headers, key and value only the size, of a key also the text where
    it is a UUID, of the value also its SHA-256 and its first ten bytes, which name its schema.
    """
    with told_errors():
        from consumer.letters.reading import Letter, Mark, read
        from consumer.letters.showing import plain_letter
        from consumer.letters.surveying import obstacle

        box = opened()
        at = place(letter, box.topic)
        behind = box.redriving.topic.records_from(at)
        found = next((read(record) for record in behind if record.offset == at.offset), None)
        if not isinstance(found, Letter):
            raise InvalidInput([f"push-services: at {at} lies no dead letter"])
        shown: dict[str, Any] = plain_letter(
            found, box.peeking.routing(found), obstacle(found, box.redriving.home)
        )
        shown["redriven"] = any(read(record) == Mark(at) for record in behind)
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))
        if value_to is not None:
            _write(found, value_to)


def _write(letter: "Letter", file: Path) -> None:
    """Write the value where only its owner can read it, and never over anything."""
    if letter.value is None:
        raise InvalidInput([f"push-services: the letter at {letter.at} has no value to write"])
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            target.write(letter.value)
    except OSError as error:
        raise InvalidInput([f"push-services: {file}: {error.strerror}"]) from error
