"""`dead-letters redrive`."""

from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli_letters.opening import opened, told_errors
from consumer.cli_letters.options import (
    AsJson,
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
from schemas.errors import Fatal, Temporary

if TYPE_CHECKING:
    from consumer.letters.choosing import Choice
    from consumer.letters.redriving import Redriving
    from consumer.letters.surveying import Survey


def redrive(
    letters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TOPIC/PARTITION/OFFSET…]", help="Only these letters."),
    ] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="All that were not redriven before.")
    ] = False,
    reason: Reasons = None,
    topic: Topics = None,
    tenant: Tenants = None,
    rule: Rules = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be put back, and put nothing back.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put dead letters back to where their records came from, once the cause is mended.

    Example: push-services dead-letters redrive --reason render_failed --since P1D --dry-run

    The record goes to its topic and partition as it was; the running worker judges it again by
    today's rules, a rule's share for that rule alone. Each letter is marked in the same
    transaction, so the same command given twice puts nothing back twice, also where the first was
    cut off. Letters whose value was left out for its size cannot be put back and are named.
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
            places=[place(each, box.topic) for each in letters or ()],
        )
        if everything == choice.is_narrow:
            raise typer.BadParameter("say which letters are meant, or --all (and not both)")
        progress = Progress()
        if dry_run:
            found = box.redriving.survey(choice, progress.reading)
        else:
            found = _run(box.redriving, choice, progress)
        progress.end()
        print_letters(found.waiting(), found, as_json=as_json)
        _tell(found, "would redrive" if dry_run else "redrove")
        missing = [at for at in choice.places if at not in {each.at for each in found.letters}]
        for at in missing:
            say(f"at {at} lies no dead letter of this choice")
        if missing or (letters and found.stuck()):
            raise typer.Exit(1)


def _run(redriving: "Redriving", choice: "Choice", progress: Progress) -> "Survey":
    """Redrive; a failure says that what is back is marked, and that giving it again is safe."""
    try:
        return redriving.run(choice, progress.reading, progress.writing)
    except Temporary as error:
        progress.end()
        raise Fatal(f"{error}; give the command again, what is put back is marked") from error


def _tell(found: "Survey", did: str) -> None:
    waiting = found.waiting()
    shares = sum(each.rule_id is not None for each in waiting)
    before = sum(each.at in found.redriven for each in found.letters)
    say(
        f"{did} {len(waiting)} dead letters: {len(waiting) - shares} records, {shares} shares of a "
        f"rule; {before} were redriven before"
    )
    for each in found.stuck():
        say(f"{each.at} cannot be redriven: {each.obstacle}")
