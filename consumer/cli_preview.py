"""`push-services preview` and `push-services templates check`: mails before they are sent."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.commands import fatal_errors
from schemas.vocabulary import Audience, DetailLevel, Language

if TYPE_CHECKING:
    from consumer.settings import Settings
    from schemas.events import PaymentEvent
    from schemas.rules import RulesAt

templates_app = typer.Typer(help="Mail templates: whether they hold for every event.")
SAMPLES = {"PUSH_MAIL_FROM": "konfipay <benachrichtigung@mail.push.example>"}
#: Who reviews wording sees every link, also those that an installation may be without.
GALLERY_SAMPLES = {
    **SAMPLES,
    "PUSH_PORTAL_URL": "https://portal.example/files",
    "PUSH_PORTAL_RULES_URL": "https://portal.example/rules",
    "PUSH_UNSUBSCRIBE_URL": "https://portal.example/u",
    "PUSH_TOKEN_KEY": "of the gallery, and of nothing else",
}


@templates_app.callback()
def templates() -> None:
    """Look at the mail templates."""


@templates_app.command()
def check() -> None:
    """Compile every template and render it for events of every shape.

    Reads the package's templates and those of PUSH_TEMPLATES_DIR. Each fault is one line.

    Exit codes: 0 all is well, 1 faults in templates or wording, 78 wrong settings.
    """
    settings = _settings(SAMPLES)
    with fatal_errors():
        from consumer import wiring
        from mailer.trial import shapes, trial_faults
        from schemas.errors import InvalidInput

        faults = trial_faults(wiring.renderer(settings))
        if faults:
            raise InvalidInput([f"push-services: {fault}" for fault in faults])
        typer.echo(f"All templates hold for {len(list(shapes()))} shapes of events.")


def preview(
    event: Annotated[
        Path | None, typer.Argument(metavar="[EVENT.json]", help="An event as plain JSON.")
    ] = None,
    *,
    status: Annotated[
        str, typer.Option(help="Without a file: the example of this status.")
    ] = "FIN_REJECTED",
    rules: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="Rules to ask; without: a sample that wants all."),
    ] = None,
    stored: Annotated[
        bool, typer.Option("--stored", help="Ask the rules of the database instead.")
    ] = False,
    rule: Annotated[str | None, typer.Option(help="Only the mails of this rule.")] = None,
    recipient: Annotated[str | None, typer.Option(help="Only the mail to this address.")] = None,
    level: Annotated[
        DetailLevel, typer.Option(help="How much the sample rule tells.")
    ] = DetailLevel.STANDARD,
    language: Annotated[
        Language, typer.Option(help="What the sample rule's reader reads.")
    ] = Language.DE,
    audience: Annotated[
        Audience, typer.Option(help="Who the sample rule's reader is.")
    ] = Audience.INTERNAL,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the files are written.")
    ] = Path("preview"),
    open_: Annotated[
        bool, typer.Option("--open", help="Open the first page in the browser.")
    ] = False,
    all_: Annotated[
        bool, typer.Option("--all", help="Every status, level and language, as a gallery.")
    ] = False,
) -> None:
    """Write the mails that an event would send: HTML, text and source.

    The planner and the renderer are those of `run`, and so are the settings; PUSH_MAIL_FROM has a
    sample where it is not set. With `--all` a gallery is written, index.html first, with pictures
    in light, dark and as wide as a phone where Chromium is installed; there the pages that mails
    link to have samples, too.

    Exit codes: 0 written, 1 no mail or faults in what was given, 78 wrong settings.
    """
    settings = _settings(GALLERY_SAMPLES if all_ else SAMPLES)
    with fatal_errors():
        if all_:
            first = _write_all(settings, out)
        else:
            from consumer.preview.source import event_of_file, event_of_status

            asked = event_of_status(status) if event is None else event_of_file(event)
            asked_rules = _rules(settings, rules, asked, stored, level, language, audience)
            first = _write(settings, asked, asked_rules, rule, recipient, out)
    typer.echo(f"Written: {first}")
    if open_:
        typer.launch(str(first))


def _settings(samples: Mapping[str, str]) -> "Settings":
    from consumer.settings import load_settings

    unset = {name: text for name, text in samples.items() if f"{name}_FILE" not in os.environ}
    with fatal_errors():
        return load_settings({**unset, **os.environ})


def _rules(
    settings: "Settings",
    file: Path | None,
    event: "PaymentEvent",
    stored: bool,
    level: DetailLevel,
    language: Language,
    audience: Audience,
) -> "RulesAt":
    from consumer.preview.mails import filed_rules, sample_rules, stored_rules

    if file is not None:
        return filed_rules(file)
    if stored:
        return stored_rules(settings, event.tenant_id)
    return sample_rules(event.tenant_id, level, language, audience)


def _write(
    settings: "Settings",
    event: "PaymentEvent",
    rules: "RulesAt",
    rule: str | None,
    recipient: str | None,
    out: Path,
) -> Path:
    from datetime import UTC, datetime

    from consumer import wiring
    from consumer.preview.mails import Previewer
    from consumer.preview.writing import write_mail
    from schemas.errors import InvalidInput

    renderer = wiring.renderer(settings, _tell_failure)
    at = datetime.now(UTC).replace(microsecond=0)
    previewer = Previewer(settings=settings, renderer=renderer, rules=rules, at=at)
    mails = [
        mail
        for mail in previewer.mails(event)
        if rule in (None, mail.rule_id) and recipient in (None, mail.recipient.text)
    ]
    if not mails:
        verdicts = "; ".join(previewer.verdicts(event)) or "the event's tenant has no rules"
        raise InvalidInput([f"push-services: no mail: {verdicts}"])
    for at_, mail in enumerate(mails, start=1):
        typer.echo(f"{at_}: {mail.rule_id}, {mail.audience}, {mail.language}: {mail.subject}")
        for path in write_mail(out, str(at_), mail):
            typer.echo(f"   {path}")
    return out / "1.html"


def _tell_failure(_event: object, _wanted: object, error: Exception) -> None:
    typer.echo(f"push-services: the mail became its fallback: {error}", err=True)


def _write_all(settings: "Settings", out: Path) -> Path:
    from datetime import UTC, datetime

    from consumer import wiring
    from consumer.preview.all import every_mail, write_gallery

    sheets = every_mail(settings, wiring.renderer(settings, _tell_failure), datetime.now(UTC))
    return write_gallery(sheets, out, typer.echo)
